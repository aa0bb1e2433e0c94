"""Photos known by their content: the same bytes under another name need no encoding."""

from dataclasses import dataclass, fields
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from retrieval.catalog.catalog import Catalog
from retrieval.catalog.records import PhotoDetails, PhotoFile, Space, to_bytes, to_path

_DETAILS = tuple(field.name for field in fields(PhotoDetails))


@dataclass(frozen=True, slots=True)
class Twin:
    """A photo with certain content, and its vectors."""

    id: int
    path: Path
    gone: bool
    """Its file had vanished when its folder was last read."""
    details: PhotoDetails
    rows: tuple[int, ...]
    """Of the space's vectors; several for a video."""
    moments: tuple[int | None, ...]


def known_sizes(catalog: Catalog, space: Space) -> set[int]:
    """Sizes in bytes of all photos with a vector; a file of any other size has new content."""
    found = catalog.read(
        "SELECT DISTINCT size FROM photos WHERE content_sha256 IS NOT NULL AND EXISTS "
        "(SELECT 1 FROM vectors WHERE photo_id = photos.id AND space_id = ?)",
        space.id,
    )
    return {size for (size,) in found}


def twins(catalog: Catalog, space: Space, content_sha256: bytes) -> list[Twin]:
    """Photos whose file has this content and that have a vector in ``space``, oldest first."""
    found = catalog.read(
        f"SELECT id, path, gone_at IS NOT NULL, {', '.join(_DETAILS)}, row, moment_ms "
        # SQLite would rather walk over all vectors of the space.
        "FROM photos JOIN vectors INDEXED BY vectors_of_photo "
        "ON photo_id = photos.id AND space_id = ? "
        "WHERE content_sha256 = ? AND state = 'ready' ORDER BY id, row",
        space.id,
        content_sha256,
    )
    result = []
    for photo_id, group in groupby(found, itemgetter(0)):
        records = list(group)
        _, path, gone, *details = records[0][:-2]
        rows, moments = zip(*(record[-2:] for record in records), strict=True)
        twin = Twin(photo_id, to_path(path), bool(gone), PhotoDetails(*details), rows, moments)
        result.append(twin)
    return result


def is_known(catalog: Catalog, path: Path) -> bool:
    """Whether the catalog has a photo of this name, be it vanished or skipped."""
    return bool(catalog.read("SELECT 1 FROM photos WHERE path = ?", to_bytes(path)))


def rename_photo(catalog: Catalog, photo_id: int, file: PhotoFile) -> None:
    """Say that a photo's unchanged content is now this file; inside `writing`.

    It keeps its id and its vectors. No other photo may have the file's name.
    """
    catalog.write(
        "UPDATE photos SET path = ?, size = ?, mtime_ns = ?, gone_at = NULL WHERE id = ?",
        to_bytes(file.path),
        file.size,
        file.mtime_ns,
        photo_id,
    )
    catalog.write("UPDATE vectors SET live = 1 WHERE photo_id = ?", photo_id)

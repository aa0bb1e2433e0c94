"""What photos can be filtered by: the folders, kinds, cameras and dates that there are."""

import hashlib
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from retrieval.catalog.catalog import Catalog
from retrieval.catalog.filters import DATED
from retrieval.catalog.records import range_below, to_bytes, to_path
from retrieval.spec.readable import readable
from retrieval.web.errors import GoneError

# A list that is longer than this helps nobody; subfolders are reached through `in:` folders.
MOST_FOLDERS = 400
# While photos are added, counts may be this old.
_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with photos somewhere below it."""

    id: str
    """Names the folder in requests, so that none carries a path."""
    path: Path
    label: str
    depth: int
    """0 for a folder that was indexed itself."""
    photos: int


@dataclass(frozen=True, slots=True)
class Facets:
    """What there is to choose from in one library."""

    folders: list[Folder] = field(default_factory=list)
    types: dict[str, int] = field(default_factory=dict)
    """Photos for each suffix, without its dot, most first."""
    cameras: dict[str, int] = field(default_factory=dict)
    first: int | None = None
    """The oldest photo, wall-clock seconds since 1970."""
    last: int | None = None
    places: int = 0
    """Photos that say where they were taken."""


class Lookups:
    """Questions to one catalog by id; for use from the thread that owns the connection."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._facets = Facets()
        self._version = -1
        self._counted = 0.0

    def close(self) -> None:
        """Release the catalog."""
        self.catalog.close()

    def facets(self) -> Facets:
        """What photos can be filtered by, as of a few seconds ago."""
        version = int(self.catalog.read("PRAGMA data_version")[0][0])
        if version != self._version and time.monotonic() > self._counted + _SECONDS:
            self._facets = count_facets(self.catalog)
            self._version, self._counted = version, time.monotonic()
        return self._facets

    def folder(self, folder_id: str) -> Path:
        """The folder that a request names.

        Raises:
            GoneError: No photo of the catalog lies below a folder of this id.
        """
        for folder in self.facets().folders:
            if folder.id == folder_id:
                return folder.path
        raise GoneError("there is no such folder in this library")


def count_facets(catalog: Catalog) -> Facets:
    """Count every photo that can be found by its folder, suffix, camera, date and place."""
    roots = [to_path(path) for (path,) in catalog.read("SELECT path FROM roots ORDER BY path")]
    parents: Counter[bytes] = Counter()
    types: Counter[str] = Counter()
    cameras: Counter[str] = Counter()
    first = last = None
    places = 0
    found = catalog.read(
        f"SELECT path, camera, {DATED}, latitude IS NOT NULL FROM photos "
        "WHERE state = 'ready' AND gone_at IS NULL"
    )
    for path, camera, dated, has_place in found:
        parent, name = os.path.split(path)
        parents[parent] += 1
        types[name.rpartition(b".")[2].decode("ascii", "ignore").lower()] += 1
        if camera:
            cameras[camera] += 1
        first = dated if first is None else min(first, dated)
        last = dated if last is None else max(last, dated)
        places += has_place
    return Facets(
        folders=_folders(roots, parents),
        types=dict(types.most_common()),
        cameras=dict(cameras.most_common()),
        first=first,
        last=last,
        places=places,
    )


def _folders(roots: list[Path], parents: Counter[bytes]) -> list[Folder]:
    counts: Counter[tuple[bytes, int]] = Counter()
    for parent, photos in parents.items():
        root = next((root for root in roots if _is_below(parent, root)), None)
        if root is None:
            continue
        steps = to_path(parent).relative_to(root).parts
        for depth in range(len(steps) + 1):
            counts[to_bytes(root.joinpath(*steps[:depth])), depth] += photos
    # The upper folders are kept where there are too many.
    chosen = sorted(counts, key=lambda one: one[1])[:MOST_FOLDERS]
    folders = [
        Folder(
            id=hashlib.sha256(path).hexdigest()[:16],
            path=to_path(path),
            label=readable(to_path(path).name or to_path(path)),
            depth=depth,
            photos=counts[path, depth],
        )
        for path, depth in chosen
    ]
    return sorted(folders, key=lambda folder: folder.path.parts)


def _is_below(path: bytes, root: Path) -> bool:
    low, high = range_below(root)
    return path == to_bytes(root) or low <= path < high

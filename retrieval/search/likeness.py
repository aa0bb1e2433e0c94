"""A photo as a question: what it looks like, and which rows are the photo itself."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.catalog.catalog import Catalog, Rows
from retrieval.catalog.contents import twins
from retrieval.catalog.records import Space, to_bytes
from retrieval.encode.protocol import Embeddings, Encoder
from retrieval.index.protocol import Vectors
from retrieval.spec.errors import PhotoError
from retrieval.spec.files import sha256_file
from retrieval.vision.frames import load_frames

Norms = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Likeness:
    """What to look for, and what not to find."""

    queries: Embeddings
    """``(moments, dim)``: one for a photo, several for a video."""
    own_rows: Rows
    """Rows of the photo itself and of its copies."""


def likeness_of(
    photo: Path | int, catalog: Catalog, space: Space, vectors: Vectors, encoder: Encoder
) -> Likeness:
    """What a photo looks like: its stored vectors if it is indexed, else it is read.

    Args:
        photo: A file, or the id of a photo in the catalog.
        catalog: Which photos are indexed.
        space: Whose vectors.
        vectors: All rows of the space.
        encoder: Embeds a photo that is not indexed.

    Raises:
        PhotoError: There is no such photo, or it cannot be read.
    """
    known = _known(photo, catalog, space)
    if isinstance(photo, int) and known is None:
        raise PhotoError(f"no photo with the number {photo} is indexed with {space.model}")
    if known is not None:
        photo_id, content = known
        found = catalog.read(
            "SELECT row FROM vectors WHERE space_id = ? AND photo_id = ? ORDER BY row",
            space.id,
            photo_id,
        )
        own = [row for (row,) in found]
        queries = normalised(vectors[own])
        return Likeness(queries, _rows_of_content(content, own, catalog, space))
    path = Path(photo).expanduser()  # type: ignore[arg-type]
    frames = load_frames(path, encoder.preprocessing)
    content = bytes.fromhex(sha256_file(path))
    queries = encoder.encode_pixels(frames.pixels)
    return Likeness(queries, _rows_of_content(content, [], catalog, space))


def normalised(rows: Vectors) -> Embeddings:
    """Stored rows ``(rows, dim)`` as float32 of length one."""
    exact = rows.astype(np.float32)
    norms: Norms = np.linalg.norm(exact, axis=1, keepdims=True)
    return exact / norms


def _known(photo: Path | int, catalog: Catalog, space: Space) -> tuple[int, bytes | None] | None:
    """Id and content of a photo that is indexed, and whose file is the indexed one."""
    columns = (
        "SELECT id, content_sha256, size, mtime_ns FROM photos WHERE state = 'ready' AND EXISTS "
        "(SELECT 1 FROM vectors WHERE photo_id = photos.id AND space_id = ?)"
    )
    if isinstance(photo, int):
        found = catalog.read(f"{columns} AND id = ?", space.id, photo)
        return (found[0][0], found[0][1]) if found else None
    try:
        path = photo.expanduser().resolve(strict=True)
        file = path.stat()
    except (OSError, RuntimeError) as error:
        raise PhotoError(f"{photo}: there is no such photo to compare with") from error
    found = catalog.read(f"{columns} AND path = ?", space.id, to_bytes(path))
    if not found or found[0][2:] != (file.st_size, file.st_mtime_ns):
        return None
    return found[0][0], found[0][1]


def _rows_of_content(content: bytes | None, own: list[int], catalog: Catalog, space: Space) -> Rows:
    copies = [] if content is None else twins(catalog, space, content)
    return np.array([*own, *(row for twin in copies for row in twin.rows)], np.int64)

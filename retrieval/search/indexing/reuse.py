"""Renamed, moved and copied photos take the vector that their content already has."""

import os
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from retrieval.catalog.catalog import Catalog
from retrieval.catalog.contents import Twin, is_known, rename_photo, twins
from retrieval.catalog.records import PhotoFile, Space
from retrieval.index.protocol import Vectors
from retrieval.index.vectors import VectorFile
from retrieval.search.indexing.decoder import Decoded

Reuse = Literal["same", "moved", "copied"]
"""``same``: only the file's time had changed."""


class Reused(NamedTuple):
    """A file whose content was known."""

    how: Reuse
    photo_id: int


def reuse_vectors(
    hashed: Sequence[Decoded], *, catalog: Catalog, space: Space, vectors: VectorFile
) -> dict[PhotoFile, Reused]:
    """Record files whose content has a vector in ``space``; inside `writing`.

    Args:
        hashed: Files with the hash of their content.
        catalog: Where they are recorded.
        space: Whose vectors.
        vectors: The space's vectors on disk; copies are appended.

    Returns:
        What each file turned out to be. Those with new content are not in it.
    """
    done: dict[PhotoFile, Reused] = {}
    first = catalog.row_count(space)
    stored = vectors.read(first)
    appended: list[Vectors] = []
    for item in hashed:
        content = item.details.content_sha256
        known = twins(catalog, space, content) if content is not None else []
        if not known:
            continue
        file = item.file
        kept = _same_photo(known, file, catalog)
        if kept is not None:
            rename_photo(catalog, kept.id, file)
            done[file] = Reused("same" if kept.path == file.path else "moved", kept.id)
            continue
        twin = known[0]
        row = first + len(appended)
        appended += [stored[r] if r < first else appended[r - first] for r in twin.rows]
        photo_id = catalog.record_photo(
            file, space, row, details=twin.details, moments=twin.moments
        )
        done[file] = Reused("copied", photo_id)
    if appended:
        vectors.append(np.stack(appended), at=first)
    return done


def _same_photo(known: list[Twin], file: PhotoFile, catalog: Catalog) -> Twin | None:
    """The photo that this file is, if it is one under a new name; None if it is a copy."""
    for twin in known:
        if twin.path == file.path:
            return twin
    if is_known(catalog, file.path):
        return None
    for twin in known:
        if twin.gone or not os.path.lexists(twin.path):
            return twin
    return None

"""Renamed, moved and copied photos take the vector that their content already has."""

import os
from collections.abc import Sequence
from pathlib import Path
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
    # Asked once for each content: of some, such as empty scans, there are thousands.
    known: dict[bytes, _Known] = {}
    for item in hashed:
        file, content = item.file, item.details.content_sha256
        if content is None:
            continue
        if content not in known:
            known[content] = _Known(twins(catalog, space, content))
        if not known[content].twins:
            continue
        kept = known[content].same_photo(file, catalog)
        if kept is not None:
            rename_photo(catalog, kept.id, file)
            done[file] = Reused("same" if kept.path == file.path else "moved", kept.id)
            continue
        twin = known[content].twins[0]
        row = first + len(appended)
        appended += [stored[r] for r in twin.rows]
        photo_id = catalog.record_photo(
            file, space, row, details=twin.details, moments=twin.moments
        )
        done[file] = Reused("copied", photo_id)
        # A photo that had this name until now shows something else from now on.
        for others in known.values():
            others.lose(file.path)
    if appended:
        vectors.append(np.stack(appended), at=first)
    return done


class _Known:
    """The photos of one content as they are before a batch, and which of them it took."""

    def __init__(self, found: list[Twin]) -> None:
        self.twins = found
        """Their vectors stay where they are, whatever becomes of the photos."""
        self._by_path = {twin.path: twin for twin in found}
        self._without_file = {
            twin.path: twin for twin in found if twin.gone or not os.path.lexists(twin.path)
        }

    def same_photo(self, file: PhotoFile, catalog: Catalog) -> Twin | None:
        """The photo that a file is, be it under a new name; None if it is a copy."""
        own = self._by_path.get(file.path)
        if own is not None:
            self._without_file.pop(file.path, None)
            return own
        if not self._without_file or is_known(catalog, file.path):
            return None
        moved = next(iter(self._without_file.values()))
        self.lose(moved.path)
        return moved

    def lose(self, path: Path) -> None:
        """The photo of this name is no longer one of them, or no longer has this name."""
        self._by_path.pop(path, None)
        self._without_file.pop(path, None)

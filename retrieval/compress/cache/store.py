"""Vectors that are already there, found by the content that they belong to."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from retrieval.compress.cache.layout import Shard, Vectors, read_note, read_shard
from retrieval.compress.cache.plan import Drawn, PhotoItem, PhotoKey
from retrieval.compress.data.views import View
from retrieval.spec.errors import CacheError
from retrieval.vision.members import open_file

_PHOTO_COLUMNS = ("image_path", "photo_bytes", "photo_mtime_ns", "photo_sha256")
_VIEW_COLUMNS = ("view_seed", "may_mirror", *View._fields)


class _Place(NamedTuple):
    array: NDArray[np.floating]
    row: int
    sha256: str = ""
    view: View | None = None


class VectorStore:
    """Vectors of photos and sentences that need not be computed again.

    An unchanged photo is known by its path, size and time; a moved, renamed or touched one
    by its content, which is hashed only if a photo of the same size is known.
    """

    def __init__(self) -> None:
        self.unreadable: dict[PhotoKey, str] = {}
        """Photos that could not be decoded, and why."""
        self._photos: dict[PhotoItem, _Place] = {}
        self._contents: dict[tuple[str, Drawn | None], _Place] = {}
        self._hashes: dict[PhotoKey, str] = {}
        self._sizes: set[int] = set()
        self._sentences: dict[str, _Place] = {}

    def add_shard(self, shard: Shard) -> None:
        """Know what a shard holds, in place of what was held in memory for it.

        Raises:
            CacheError: The shard is damaged.
        """
        images, texts, columns = read_shard(shard)
        if images is not None:
            self._add_rows(shard, images, columns)
        if texts is not None:
            for row, sentence in enumerate(columns["caption"]):
                self._sentences[sentence] = _Place(texts, row)
        for *key, reason in read_note(shard).get("unreadable", []):
            self.unreadable[PhotoKey(*key)] = reason

    def add_photos(
        self,
        items: Sequence[PhotoItem],
        vectors: Vectors,
        views: Sequence[View] | None = None,
    ) -> None:
        """Know new photos or views; ``vectors`` are ``(len(items), dim)``."""
        for row, item in enumerate(items):
            view = None if views is None else views[row]
            self._add_photo(item, _Place(vectors, row, self._content(item.photo), view))

    def add_sentences(self, sentences: Sequence[str], vectors: Vectors) -> None:
        """Know new sentences; ``vectors`` are ``(len(sentences), dim)``."""
        for row, sentence in enumerate(sentences):
            self._sentences[sentence] = _Place(vectors, row)

    def add_unreadable(self, reasons: Mapping[PhotoKey, str]) -> None:
        """Know photos that cannot be decoded now, and why."""
        self.unreadable.update(reasons)

    def has_photo(self, item: PhotoItem) -> bool:
        """Whether the vector of a photo or view is known, by its key or by its content."""
        if item not in self._photos and item.photo.bytes in self._sizes:
            place = self._contents.get((self._content(item.photo), item.view))
            if place is not None:
                self._photos[item] = place
        return item in self._photos

    def has_sentence(self, sentence: str) -> bool:
        """Whether a sentence's vector is known."""
        return sentence in self._sentences

    def photo_vectors(self, items: Sequence[PhotoItem], dim: int) -> Vectors:
        """Vectors of known photos or views, ``(len(items), dim)``."""
        return _stacked([self._photos[item] for item in items], dim)

    def photo_columns(self, items: Sequence[PhotoItem]) -> dict[str, list[Any]]:
        """What a shard says of known photos or views, by column."""
        places = [self._photos[item] for item in items]
        columns: dict[str, list[Any]] = dict(
            zip(
                _PHOTO_COLUMNS,
                (
                    [item.photo.path for item in items],
                    [item.photo.bytes for item in items],
                    [item.photo.mtime_ns for item in items],
                    [place.sha256 for place in places],
                ),
                strict=True,
            )
        )
        rows = [
            (*item.view, *place.view)
            for item, place in zip(items, places, strict=True)
            if item.view is not None and place.view is not None
        ]
        if rows:
            columns |= {
                name: list(values)
                for name, values in zip(_VIEW_COLUMNS, zip(*rows, strict=True), strict=True)
            }
        return columns

    def sentence_vectors(self, sentences: Sequence[str], dim: int) -> Vectors:
        """Vectors of known sentences, ``(len(sentences), dim)``."""
        return _stacked([self._sentences[sentence] for sentence in sentences], dim)

    def _add_rows(
        self, shard: Shard, images: NDArray[np.floating], columns: Mapping[str, list[Any]]
    ) -> None:
        if missing := [name for name in _PHOTO_COLUMNS if name not in columns]:
            raise CacheError(f"{shard.metadata} has no column {missing[0]}; remove {shard.folder}")
        views = read_views(columns)
        for row, values in enumerate(zip(*(columns[n] for n in _PHOTO_COLUMNS), strict=True)):
            photo = PhotoKey(*values[:3])
            if views is None:
                item, view = PhotoItem(photo), None
            else:
                drawn = Drawn(columns["view_seed"][row], columns["may_mirror"][row])
                item, view = PhotoItem(photo, drawn), views[row]
            self._add_photo(item, _Place(images, row, values[3], view))

    def _add_photo(self, item: PhotoItem, place: _Place) -> None:
        self._photos[item] = place
        self.unreadable.pop(item.photo, None)
        if place.sha256:
            self._contents[place.sha256, item.view] = place
            self._sizes.add(item.photo.bytes)

    def _content(self, photo: PhotoKey) -> str:
        """SHA-256 of a file; each is read once, however many views of it there are."""
        if photo not in self._hashes:
            self._hashes[photo] = _content_hash(photo)
        return self._hashes[photo]


def read_views(columns: Mapping[str, list[Any]]) -> list[View] | None:
    """The views that the rows of a shard are of; None where photos were embedded whole."""
    if any(name not in columns for name in _VIEW_COLUMNS):
        return None
    return [View(*row) for row in zip(*(columns[name] for name in View._fields), strict=True)]


def _stacked(places: Sequence[_Place], dim: int) -> Vectors:
    vectors = np.empty((len(places), dim), np.float16)
    for row, place in enumerate(places):
        vectors[row] = place.array[place.row]
    return vectors


def _content_hash(photo: PhotoKey) -> str:
    """SHA-256 of a file; empty when it cannot be read any more, which matches no content."""
    try:
        with open_file(Path(photo.path)) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""

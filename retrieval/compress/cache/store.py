"""Vectors that are already there, found by the content that they belong to."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retrieval.compress.cache.layout import Shard, Vectors, read_note, read_shard
from retrieval.compress.cache.plan import PhotoKey
from retrieval.spec.errors import CacheError
from retrieval.spec.files import sha256_file

_PHOTO_COLUMNS = ("image_path", "photo_bytes", "photo_mtime_ns", "photo_sha256")


class _Place(NamedTuple):
    array: NDArray[np.floating]
    row: int
    sha256: str = ""


class VectorStore:
    """Vectors of photos and sentences that need not be computed again.

    An unchanged photo is known by its path, size and time; a moved, renamed or touched one
    by its content, which is hashed only if a photo of the same size is known.
    """

    def __init__(self) -> None:
        self.unreadable: dict[PhotoKey, str] = {}
        """Photos that could not be decoded, and why."""
        self._photos: dict[PhotoKey, _Place] = {}
        self._contents: dict[str, _Place] = {}
        self._sizes: set[int] = set()
        self._sentences: dict[str, _Place] = {}

    def add_shard(self, shard: Shard) -> None:
        """Know what a shard holds, in place of what was held in memory for it.

        Raises:
            CacheError: The shard is damaged.
        """
        images, texts, columns = read_shard(shard)
        if images is not None:
            if missing := [name for name in _PHOTO_COLUMNS if name not in columns]:
                raise CacheError(
                    f"{shard.metadata} has no column {missing[0]}; remove {shard.folder}"
                )
            for row, values in enumerate(zip(*(columns[n] for n in _PHOTO_COLUMNS), strict=True)):
                self._add_photo(PhotoKey(*values[:3]), _Place(images, row, values[3]))
        if texts is not None:
            for row, sentence in enumerate(columns["caption"]):
                self._sentences[sentence] = _Place(texts, row)
        for *key, reason in read_note(shard).get("unreadable", []):
            self.unreadable[PhotoKey(*key)] = reason

    def add_photos(self, photos: Sequence[PhotoKey], vectors: Vectors) -> None:
        """Know new photos; ``vectors`` are ``(len(photos), dim)``."""
        for row, photo in enumerate(photos):
            self._add_photo(photo, _Place(vectors, row, _content_hash(photo)))

    def add_sentences(self, sentences: Sequence[str], vectors: Vectors) -> None:
        """Know new sentences; ``vectors`` are ``(len(sentences), dim)``."""
        for row, sentence in enumerate(sentences):
            self._sentences[sentence] = _Place(vectors, row)

    def add_unreadable(self, reasons: Mapping[PhotoKey, str]) -> None:
        """Know photos that cannot be decoded now, and why."""
        self.unreadable.update(reasons)

    def has_photo(self, photo: PhotoKey) -> bool:
        """Whether a photo's vector is known, by its key or by its content."""
        if photo not in self._photos and photo.bytes in self._sizes:
            place = self._contents.get(_content_hash(photo))
            if place is not None:
                self._photos[photo] = place
        return photo in self._photos

    def has_sentence(self, sentence: str) -> bool:
        """Whether a sentence's vector is known."""
        return sentence in self._sentences

    def photo_vectors(self, photos: Sequence[PhotoKey], dim: int) -> Vectors:
        """Vectors of known photos, ``(len(photos), dim)``."""
        return _stacked([self._photos[photo] for photo in photos], dim)

    def photo_hashes(self, photos: Sequence[PhotoKey]) -> list[str]:
        """SHA-256 of the files of known photos."""
        return [self._photos[photo].sha256 for photo in photos]

    def sentence_vectors(self, sentences: Sequence[str], dim: int) -> Vectors:
        """Vectors of known sentences, ``(len(sentences), dim)``."""
        return _stacked([self._sentences[sentence] for sentence in sentences], dim)

    def _add_photo(self, photo: PhotoKey, place: _Place) -> None:
        self._photos[photo] = place
        self.unreadable.pop(photo, None)
        if place.sha256:
            self._contents[place.sha256] = place
            self._sizes.add(photo.bytes)


def _stacked(places: Sequence[_Place], dim: int) -> Vectors:
    vectors = np.empty((len(places), dim), np.float16)
    for row, place in enumerate(places):
        vectors[row] = place.array[place.row]
    return vectors


def _content_hash(photo: PhotoKey) -> str:
    """SHA-256 of a file; empty when it cannot be read any more, which matches no content."""
    try:
        return sha256_file(Path(photo.path))
    except OSError:
        return ""

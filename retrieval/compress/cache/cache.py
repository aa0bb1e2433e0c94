"""A finished teacher cache, read."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from retrieval.compress.cache.layout import (
    METADATA,
    ShardContent,
    Vectors,
    find_shards,
    read_note,
    read_shard,
)
from retrieval.compress.cache.manifest import CacheManifest, read_manifest
from retrieval.compress.cache.store import read_views
from retrieval.spec.errors import CacheError


@dataclass(frozen=True, slots=True)
class BuildCounts:
    """What the run that built a cache had to do."""

    computed: int
    """Photos and sentences that the teacher embedded."""
    reused: int
    """Photos and sentences whose embeddings were there already: from an earlier run, or for
    a second file of the same content."""
    skipped: int
    """Photos that could not be decoded."""


class TeacherCache:
    """Embeddings of a corpus by one teacher.

    Row ``i`` of `image_embeddings` belongs to ``photos[i]``, each photo once; row ``j`` of
    `text_embeddings` belongs to ``sentences[j]``, in the order of the corpus. In a cache of
    pairs, ``photo_of_sentence[j]`` is the index of the photo that sentence ``j`` describes.
    A cache of views has several rows for each photo: `views` and `view_embeddings`.

    Use `open` for a folder on disk and `build.build_cache` to make one.
    """

    def __init__(
        self, folder: Path, manifest: CacheManifest | None, built: BuildCounts | None = None
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        """None for a foreign cache: one that clip-retrieval wrote."""
        self.built = built
        """What the last build did; None for a cache that was only opened."""
        self._shards = find_shards(folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a cache of ours, or the output folder of ``clip-retrieval inference``.

        Args:
            folder: Where ``img_emb``, ``text_emb`` and ``metadata`` lie.

        Raises:
            CacheError: No cache there, or it is unfinished or damaged.
        """
        manifest = read_manifest(folder)
        if manifest is None and not (folder / METADATA).is_dir():
            unfinished = unfinished_folder(folder)
            if unfinished.is_dir():
                raise CacheError(
                    f"{folder} is not finished ({len(find_shards(unfinished))} shards are); "
                    "run leanclip cache again to go on"
                )
            raise CacheError(f"{folder} is no teacher cache; make one with leanclip cache")
        cache = cls(folder, manifest)
        found, expected = len(cache._shards), manifest.shards if manifest else None
        if found == 0 or (expected is not None and found != expected):
            raise CacheError(
                f"{folder} has {found} of {expected or 'its'} shards; "
                "remove it and run leanclip cache again"
            )
        return cache

    @property
    def photos(self) -> list[Path]:
        """Photos that have an embedding, each once, in the order of the corpus."""
        return [Path(path) for path in self._first_row_of_photo]

    @property
    def sentences(self) -> list[str]:
        """Sentences that have an embedding, in the order of the corpus."""
        return [text for content in self._contents for text in content.columns.get("caption", [])]

    @property
    def photo_of_sentence(self) -> NDArray[np.int64]:
        """Index in `photos` of each sentence's photo, ``(len(sentences),)``.

        Raises:
            CacheError: The cache holds only photos or only sentences.
        """
        if not (self.has_photos and self.has_sentences):
            raise CacheError(f"{self.folder} holds no pairs of photos and sentences")
        index = {path: number for number, path in enumerate(self._first_row_of_photo)}
        return np.array([index[path] for path in self._paths], dtype=np.int64)

    @property
    def unreadable(self) -> list[tuple[Path, str]]:
        """Photos that were left out because they could not be decoded, and why."""
        notes = [read_note(shard).get("unreadable", []) for shard in self._shards]
        # Shards may cut the views of one photo apart.
        reasons = {path: reason for note in notes for path, _, _, reason in note}
        return [(Path(path), reason) for path, reason in reasons.items()]

    @property
    def has_photos(self) -> bool:
        """Whether there are embeddings of photos."""
        return self._contents[0].images is not None

    @property
    def has_views(self) -> bool:
        """Whether the embeddings of photos are of views of them."""
        return read_views(self._contents[0].columns) is not None

    @property
    def has_sentences(self) -> bool:
        """Whether there are embeddings of sentences."""
        return self._contents[0].texts is not None

    def image_embeddings(self) -> Vectors:
        """Embeddings of `photos`, float16 ``(len(photos), dim)``; mapped where possible.

        Raises:
            CacheError: The cache holds only sentences, or views of photos.
        """
        if self.has_views:
            raise CacheError(f"{self.folder} holds views, not whole photos")
        vectors = self._joined([content.images for content in self._contents], "photos")
        rows = list(self._first_row_of_photo.values())
        return vectors if len(rows) == len(vectors) else vectors[rows]

    def view_embeddings(self) -> Vectors:
        """Embeddings of `views`, float16 ``(len(photos) * views, dim)``, grouped by photo.

        Raises:
            CacheError: The cache holds whole photos or sentences.
        """
        self._refuse_whole()
        return self._joined([content.images for content in self._contents], "photos")

    def views(self) -> NDArray[np.float64]:
        """What the teacher saw of `photos`: fields of `View`, ``(len(photos), views, fields)``.

        Raises:
            CacheError: The cache holds whole photos or sentences.
        """
        self._refuse_whole()
        rows = [view for content in self._contents for view in read_views(content.columns) or []]
        fields = np.array(rows, np.float64)
        return fields.reshape(len(self._first_row_of_photo), -1, fields.shape[1])

    def text_embeddings(self) -> Vectors:
        """Embeddings of `sentences`, float16 ``(len(sentences), dim)``; mapped where possible.

        Raises:
            CacheError: The cache holds only photos.
        """
        return self._joined([content.texts for content in self._contents], "sentences")

    def _refuse_whole(self) -> None:
        if not self.has_views:
            raise CacheError(f"{self.folder} holds no views of photos")

    @cached_property
    def _contents(self) -> list[ShardContent]:
        return [read_shard(shard) for shard in self._shards]

    @property
    def _paths(self) -> list[str]:
        return [path for content in self._contents for path in content.columns["image_path"]]

    @cached_property
    def _first_row_of_photo(self) -> dict[str, int]:
        rows: dict[str, int] = {}
        if self.has_photos:
            for row, path in enumerate(self._paths):
                rows.setdefault(path, row)
        return rows

    def _joined(self, parts: list[NDArray[np.floating] | None], what: str) -> Vectors:
        there = [part for part in parts if part is not None]
        if len(there) != len(parts):
            raise CacheError(f"{self.folder} holds no embeddings of {what}")
        if len({part.shape[1] for part in there}) != 1:
            raise CacheError(f"{self.folder} mixes embeddings of different lengths")
        whole = there[0] if len(there) == 1 else np.concatenate(there)
        return whole.astype(np.float16, copy=False)


def unfinished_folder(folder: Path) -> Path:
    """Where shards are kept until the last one is written; then it becomes ``folder``."""
    return folder.parent / f".{folder.name}.unfinished"

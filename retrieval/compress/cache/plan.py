"""What each shard of a cache shall hold, and by what an unchanged input is recognised."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from retrieval.compress.cache.corpus import Corpus, Numbered
from retrieval.compress.cache.layout import shard_label
from retrieval.spec.files import sha256_json
from retrieval.vision.members import file_state

_Item = TypeVar("_Item", "PhotoItem", str)


class PhotoKey(NamedTuple):
    """A photo file as it is now; equal keys mean an unchanged photo."""

    path: str
    bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> "PhotoKey":
        """Look at a file; one that has vanished has no bytes, and is skipped later."""
        try:
            return cls(str(path), *file_state(path))
        except OSError:
            return cls(str(path), -1, 0)


class Drawn(NamedTuple):
    """What decides a random view beside the photo and the rules of the cache."""

    seed: int
    may_mirror: bool


class PhotoItem(NamedTuple):
    """A photo to embed: whole, or one view of it."""

    photo: PhotoKey
    view: Drawn | None = None


class PlannedRow(NamedTuple):
    """One row to store; at least one of the two is there."""

    photo: PhotoItem | None
    sentence: str | None


@dataclass(frozen=True, slots=True)
class PlannedShard:
    """One shard to store."""

    label: str
    rows: list[PlannedRow]
    photos: list[PhotoItem]
    """Photos and views that no earlier shard names, each once."""
    sentences: list[str]
    """Sentences that no earlier shard names, each once."""

    @property
    def digest(self) -> str:
        """Names its rows; a stored shard of the same digest is up to date."""
        return sha256_json(self.rows)

    @property
    def items(self) -> int:
        """Photos and sentences that the shard adds."""
        return len(self.photos) + len(self.sentences)


def plan_shards(corpus: Corpus, shard_size: int) -> list[PlannedShard]:
    """Cut a corpus into shards of ``shard_size`` rows, in its order."""
    keys = {path: PhotoKey.of(path) for path, *_ in corpus.rows if path is not None}
    rows = [
        PlannedRow(_item(keys[path], view) if path else None, text)
        for path, text, view in corpus.rows
    ]
    starts = range(0, len(rows), shard_size)
    seen: set[PhotoItem | str] = set()
    return [
        _planned(shard_label(number, len(starts)), rows[start : start + shard_size], seen)
        for number, start in enumerate(starts)
    ]


def view_seed(photo: PhotoKey, number: int) -> int:
    """Seed of a photo's view of that number.

    It depends on the file's length, not on its name or place in the corpus: a photo that is
    moved, or found again by its content, keeps its views.
    """
    return int(sha256_json([photo.bytes, number])[:12], 16)


def _item(photo: PhotoKey, view: Numbered | None) -> PhotoItem:
    if view is None:
        return PhotoItem(photo)
    return PhotoItem(photo, Drawn(view_seed(photo, view.number), view.may_mirror))


def _planned(label: str, rows: list[PlannedRow], seen: set[PhotoItem | str]) -> PlannedShard:
    photos = list(_unseen((row.photo for row in rows), seen))
    sentences = list(_unseen((row.sentence for row in rows), seen))
    return PlannedShard(label, rows, photos, sentences)


def _unseen(items: Iterable[_Item | None], seen: set[PhotoItem | str]) -> Iterator[_Item]:
    for item in items:
        if item is not None and item not in seen:
            seen.add(item)
            yield item

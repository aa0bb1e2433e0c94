"""What each shard of a cache shall hold, and by what an unchanged input is recognised."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from retrieval.compress.cache.corpus import Corpus
from retrieval.compress.cache.layout import shard_label
from retrieval.spec.files import sha256_json

_Item = TypeVar("_Item", "PhotoKey", str)


class PhotoKey(NamedTuple):
    """A photo file as it is now; equal keys mean an unchanged photo."""

    path: str
    bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> "PhotoKey":
        """Look at a file; one that has vanished has no bytes, and is skipped later."""
        try:
            found = path.stat()
        except OSError:
            return cls(str(path), -1, 0)
        return cls(str(path), found.st_size, found.st_mtime_ns)


class PlannedRow(NamedTuple):
    """One row to store; at least one of the two is there."""

    photo: PhotoKey | None
    sentence: str | None


@dataclass(frozen=True, slots=True)
class PlannedShard:
    """One shard to store."""

    label: str
    rows: list[PlannedRow]
    photos: list[PhotoKey]
    """Photos that no earlier shard names, each once."""
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
    keys = {path: PhotoKey.of(path) for path, _ in corpus.rows if path is not None}
    rows = [PlannedRow(keys[path] if path else None, text) for path, text in corpus.rows]
    starts = range(0, len(rows), shard_size)
    seen: set[PhotoKey | str] = set()
    return [
        _planned(shard_label(number, len(starts)), rows[start : start + shard_size], seen)
        for number, start in enumerate(starts)
    ]


def _planned(label: str, rows: list[PlannedRow], seen: set[PhotoKey | str]) -> PlannedShard:
    photos = list(_unseen((row.photo for row in rows), seen))
    sentences = list(_unseen((row.sentence for row in rows), seen))
    return PlannedShard(label, rows, photos, sentences)


def _unseen(items: Iterable[_Item | None], seen: set[PhotoKey | str]) -> Iterator[_Item]:
    for item in items:
        if item is not None and item not in seen:
            seen.add(item)
            yield item

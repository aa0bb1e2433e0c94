"""How many photos are done of how many, when some shards have not been opened yet."""

from collections.abc import Sequence

from retrieval.bulk.folder import Summary
from retrieval.bulk.plan import Plan


class Tally:
    """Counts photos over all shards.

    Opening thousands of tar files only to count would take long. Until each has been opened,
    its photos are guessed from its size and from those that have been.

    Args:
        plan: All shards.
        summaries: Of each shard, None for those that are not done.
    """

    def __init__(self, plan: Plan, summaries: Sequence[Summary | None]) -> None:
        self._bytes = [shard.bytes for shard in plan.shards]
        self._totals = [shard.photos for shard in plan.shards]
        self._done = [0] * len(plan.shards)
        self.missing = [number for number, one in enumerate(summaries) if one is None]
        for number, one in enumerate(summaries):
            if one is not None:
                photos = one.rows + len(one.skipped)
                self.count(number, photos, photos)

    def count(self, number: int, done: int, total: int) -> None:
        """``done`` of ``total`` photos of a shard are through."""
        self._done[number] = done
        self._totals[number] = total

    @property
    def done(self) -> int:
        """Photos that are through."""
        return sum(self._done)

    @property
    def total(self) -> int | None:
        """All photos, a guess at first; None while there is nothing to guess from."""
        counted = [
            (size, total)
            for size, total in zip(self._bytes, self._totals, strict=True)
            if total is not None
        ]
        known = sum(total for _, total in counted)
        unknown = sum(self._bytes) - sum(size for size, _ in counted)
        if not unknown:
            return known
        in_tars = sum(total for size, total in counted if size)
        opened = sum(size for size, _ in counted)
        return known + round(unknown * in_tars / opened) if opened else None

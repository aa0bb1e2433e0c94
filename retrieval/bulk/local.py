"""Shards one after the other on this machine; inside each, decoding and encoding overlap."""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from retrieval.bulk.work import AdvanceShard, Outcome, PartOfIndex, Workplace
from retrieval.search.indexing.feed import MAX_DECODERS


class LocalRunner:
    """This machine as a `Runner`.

    Args:
        out: The output folder.
        model: For `open_encoder`.
        workers: Processes that decode photos; None takes one a core, 8 at most.
    """

    def __init__(self, out: Path, model: str, workers: int | None = None) -> None:
        decoders = workers or min(MAX_DECODERS, os.cpu_count() or 1)
        self._place = Workplace(out, model, threads=None, decoders=decoders)

    def embed(self, numbers: Sequence[int], advance: AdvanceShard) -> Iterator[Outcome]:
        """See `Runner.embed`."""
        for number in numbers:
            yield self._place.embed(number, partial(advance, number))

    def index(self, parts: Sequence[PartOfIndex]) -> Iterator[Outcome]:
        """See `Runner.index`."""
        for part in parts:
            yield self._place.index(part)

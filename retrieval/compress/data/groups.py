"""Captions grouped by the photo that they describe, and draws of a few of each group."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from retrieval.compress.data.tokens import Ids


@dataclass(frozen=True)
class CaptionGroups:
    """Captions as a stage sees them.

    Attributes:
        ids: Token ids of all captions, ``(captions, context)``.
        group_of_caption: Number of each caption's photo, ``(captions,)``, non-decreasing.
    """

    ids: Ids
    group_of_caption: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self._first) - 1

    def draw(
        self, groups: Sequence[int], count: int, generator: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Captions of a batch of groups, and for each the row of its group in the batch.

        Args:
            groups: Their numbers.
            count: Captions of each group, as far as it has so many.
            generator: Draws them, without repetition.
        """
        captions: list[int] = []
        owner: list[int] = []
        for row, group in enumerate(groups):
            first, last = self._first[group], self._first[group + 1]
            wanted = min(count, last - first)
            captions += generator.choice(np.arange(first, last), wanted, replace=False).tolist()
            owner += [row] * wanted
        return np.array(captions), np.array(owner)

    @cached_property
    def _first(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(np.bincount(self.group_of_caption))])

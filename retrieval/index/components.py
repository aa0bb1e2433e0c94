"""Groups of vectors that hang together by nearness."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from retrieval.index.protocol import Vectors

_TALL = 1024
_WIDE = 8192

Advance = Callable[[int, int], None]
"""Called with the rows compared so far and all rows."""


def near_components(
    vectors: Vectors, threshold: float, advance: Advance | None = None
) -> NDArray[np.int64]:
    """For each row, the first row of the group that it belongs to; ``(rows,)``.

    Two rows are in one group when a chain of rows leads from one to the other, each with a
    cosine of ``threshold`` or more to the next. Every pair is compared, tile by tile, so time
    grows with the square of the rows and memory does not: 1,024 x 8,192 scores at a time.

    Args:
        vectors: ``(rows, dim)``, of length about one.
        threshold: Lowest cosine of two rows that are near.
        advance: Told how far the work has come.
    """
    rows = len(vectors)
    groups = _Groups(rows)
    for top in range(0, rows, _TALL):
        tall = _unit(vectors[top : top + _TALL])
        for left in range(top, rows, _WIDE):
            scores = tall @ _unit(vectors[left : left + _WIDE]).T
            groups.join(scores >= threshold, top, left)
        if advance is not None:
            advance(min(rows, top + _TALL), rows)
    return groups.first(np.arange(rows))


class _Groups:
    """A forest in which every row points at an earlier row of its group, or at itself."""

    def __init__(self, rows: int) -> None:
        self._parent = np.arange(rows)

    def first(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The first row of each one's group."""
        found = self._parent[rows]
        while not np.array_equal(above := self._parent[found], found):
            found = above
        self._parent[rows] = found
        return found

    def join(self, near: NDArray[np.bool_], top: int, left: int) -> None:
        """Join the groups of all pairs of a tile whose first row and column are given."""
        if not near.any():
            return
        tall = np.arange(top, top + near.shape[0])
        wide = np.arange(left, left + near.shape[1])
        while True:
            # One pair for each row and each column at a time: thousands of photos that are
            # all alike would make millions of pairs.
            apart = near & (self.first(tall)[:, np.newaxis] != self.first(wide))
            if not apart.any():
                return
            for some, picked in ((apart, apart.argmax(axis=1)), (apart.T, apart.argmax(axis=0))):
                ends = (tall, wide) if some is apart else (wide, tall)
                for place in np.flatnonzero(some.any(axis=1)):
                    self._join(int(ends[0][place]), int(ends[1][picked[place]]))

    def _join(self, one: int, other: int) -> None:
        first, second = self.first(np.array([one, other]))
        self._parent[max(first, second)] = min(first, second)


def _unit(vectors: Vectors) -> NDArray[np.float32]:
    exact = vectors.astype(np.float32)
    lengths: NDArray[np.float32] = np.linalg.norm(exact, axis=1, keepdims=True)
    exact /= np.maximum(lengths, np.float32(1e-12))
    return exact

"""What every vector index can do, exact or approximate."""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float16]
Queries = NDArray[np.float32]
RowMask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Matches:
    """The best rows for each query, best first."""

    rows: NDArray[np.int64]
    """``(queries, top)``; -1 where fewer rows were allowed than asked for."""
    scores: NDArray[np.float32]
    """``(queries, top)`` inner products: cosines, because vectors have length one."""

    @classmethod
    def none(cls, queries: int) -> Self:
        """An answer without rows, for a number of queries."""
        return cls(np.empty((queries, 0), np.int64), np.empty((queries, 0), np.float32))


class VectorIndex(Protocol):
    """Finds the rows of a vector file that lie nearest to a query.

    Rows are known by their place in the file. What a row means, and whether it still counts,
    the catalog knows: it is told through ``allowed``.
    """

    @property
    def dim(self) -> int:
        """Length of a vector."""

    def __len__(self) -> int:
        """Number of rows, with those that no longer count."""

    def search(self, queries: Queries, top: int, *, allowed: RowMask | None = None) -> Matches:
        """Find the ``top`` best rows for each query ``(queries, dim)``.

        Args:
            queries: Vectors of length one.
            top: How many rows to return for each query.
            allowed: ``(rows,)``; only rows marked true are returned. ``None`` allows all.
        """

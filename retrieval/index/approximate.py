"""Approximate search: an index over most rows, the rest compared one by one."""

import faiss
import numpy as np

from retrieval.index.exact import ExactIndex, selector
from retrieval.index.kinds import ApproximateKind
from retrieval.index.protocol import Matches, Queries, RowMask, Vectors
from retrieval.index.scan import merged, nearest_among, padded

# Of so few allowed rows, comparing each is faster than any index, and exact.
_FEW = 4_096
# Where less than this share is allowed, a graph mostly steps through rows that it must not
# return, and misses many that it should.
_SPARSE = 0.02


class ApproximateIndex:
    """A FAISS index over the first rows of a vector file, exact over those added since.

    New photos are found at once, without touching the index. Deleted ones are masked out, as
    in every `VectorIndex`. Scores are always the exact inner products.
    """

    def __init__(
        self, built: faiss.Index, kind: ApproximateKind, effort: int, vectors: Vectors
    ) -> None:
        """Join a built index and the vector file.

        Args:
            built: Holds the first ``built.ntotal`` rows.
            kind: What it was built as.
            effort: How hard to look, one of ``kind.efforts``.
            vectors: ``(rows, dim)``, memory-mapped.
        """
        self.dim = int(vectors.shape[1])
        self.effort = effort
        self._built = built
        self._kind = kind
        self._vectors = vectors
        self._rest = ExactIndex(vectors[built.ntotal :])

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def built_rows(self) -> int:
        """Rows inside the index; the others are compared one by one."""
        return int(self._built.ntotal)

    def search(self, queries: Queries, top: int, *, allowed: RowMask | None = None) -> Matches:
        """See `VectorIndex.search`."""
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        top = min(top, len(self))
        count = len(self) if allowed is None else int(np.count_nonzero(allowed))
        if count <= max(_FEW, _SPARSE * len(self)):
            rows = np.arange(len(self)) if allowed is None else np.flatnonzero(allowed)
            return nearest_among(self._vectors, rows, queries, top)
        head, tail = self._parts(allowed)
        found = self._search_built(queries, top, head)
        rest = self._rest.search(queries, top, allowed=tail)
        moved = np.where(rest.rows < 0, -1, rest.rows + self.built_rows)
        return padded(merged(found, Matches(moved, rest.scores), top), top)

    def _parts(self, allowed: RowMask | None) -> tuple[RowMask | None, RowMask | None]:
        if allowed is None:
            return None, None
        return allowed[: self.built_rows], allowed[self.built_rows :]

    def _search_built(self, queries: Queries, top: int, allowed: RowMask | None) -> Matches:
        wanted = min(self.built_rows, top * max(1, self._kind.rescored))
        # The bitmap must outlive the search: FAISS keeps a pointer to it, not a reference.
        only, _bits = selector(allowed)
        scores, rows = self._built.search(
            queries, wanted, params=self._kind.parameters(self.effort, only)
        )
        scores = np.where(rows < 0, -np.inf, scores).astype(np.float32)
        if self._kind.rescored:
            scores = self._exact_scores(queries, rows)
        found = merged(Matches.none(len(queries)), Matches(rows, scores), top)
        possible = self.built_rows if allowed is None else int(np.count_nonzero(allowed))
        if (found.rows[:, : min(top, possible)] >= 0).all():
            return found
        # The search got stuck before it had seen enough rows that it may return.
        rows_left = np.arange(self.built_rows) if allowed is None else np.flatnonzero(allowed)
        return nearest_among(self._vectors, rows_left, queries, top)

    def _exact_scores(self, queries: Queries, rows: np.ndarray) -> np.ndarray:
        scores = np.full(rows.shape, -np.inf, np.float32)
        for query, some, score in zip(queries, rows, scores, strict=True):
            real = some >= 0
            score[real] = self._vectors[some[real]].astype(np.float32) @ query
        return scores

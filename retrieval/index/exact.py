"""Exact search: every allowed row is compared."""

import faiss
import numpy as np

from retrieval.index.protocol import Matches, Queries, RowMask, Vectors


class ExactIndex:
    """FAISS over fp16 rows, scored by inner product in float32.

    The rows of a vector file are already FAISS's own fp16 code, so they are taken as they
    are. At 512 dimensions a row costs 1 KiB of memory, and half a million rows answer within
    a tenth of a second, so few libraries need anything else.
    """

    def __init__(self, vectors: Vectors) -> None:
        """Take over ``vectors`` ``(rows, dim)``; the array may be dropped afterwards."""
        rows, self.dim = vectors.shape
        self._faiss = faiss.IndexScalarQuantizer(
            self.dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        if rows:
            self._faiss.add_sa_codes(np.ascontiguousarray(vectors).view(np.uint8))

    def __len__(self) -> int:
        return int(self._faiss.ntotal)

    def search(self, queries: Queries, top: int, *, allowed: RowMask | None = None) -> Matches:
        """See `VectorIndex.search`."""
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        top = min(top, len(self))
        if top == 0:
            empty = (len(queries), 0)
            return Matches(np.empty(empty, np.int64), np.empty(empty, np.float32))
        if allowed is None:
            scores, rows = self._faiss.search(queries, top)
        else:
            bits = np.packbits(allowed, bitorder="little")
            only = faiss.SearchParameters()
            only.sel = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
            scores, rows = self._faiss.search(queries, top, params=only)
        return Matches(rows, scores)

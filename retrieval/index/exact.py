"""Exact search: every allowed row is compared."""

import faiss
import numpy as np
from numpy.typing import NDArray

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
            return Matches.none(len(queries))
        # The bitmap must outlive the search: FAISS keeps a pointer to it, not a reference.
        only, _bits = selector(allowed)
        params = faiss.SearchParameters()
        params.sel = only
        scores, rows = self._faiss.search(queries, top, params=params)
        return Matches(rows, scores)


def selector(allowed: RowMask | None) -> tuple[faiss.IDSelector | None, NDArray[np.uint8] | None]:
    """FAISS's form of a row mask, and the bits that it points into."""
    if allowed is None:
        return None, None
    bits = np.packbits(allowed, bitorder="little")
    return faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits)), bits

"""Corpus-level hard negatives: what an index of the frozen side ranks high and is wrong."""

import faiss
import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Indices = NDArray[np.int64]

_AT_ONCE = 1024


def mine_hard_negatives(
    queries: Vectors,
    candidates: Vectors,
    query_photo: Indices,
    candidate_photo: Indices,
    *,
    count: int,
    teacher_queries: Vectors | None = None,
    teacher_candidates: Vectors | None = None,
) -> Indices:
    """The nearest wrong candidates of every query, by exact FAISS search.

    A candidate of the query's own photo is right, not wrong. One that the teacher scores
    at least as high as the query's best own candidate is probably right too (a false
    negative), and is left out when teacher embeddings are given.

    Args:
        queries: Embeddings of the tower in training, ``(q, dim)``.
        candidates: Embeddings of the frozen tower, ``(c, dim)``.
        query_photo: Photo of each query, ``(q,)``.
        candidate_photo: Photo of each candidate, ``(c,)``.
        count: Negatives per query.
        teacher_queries: The teacher's embeddings of the queries, ``(q, teacher_dim)``.
        teacher_candidates: The teacher's embeddings of the candidates.

    Returns:
        Candidate indices ``(q, count)``; where fewer exist, they repeat. A query without
        any wrong candidate gets the candidates in order.
    """
    index = faiss.IndexFlatIP(candidates.shape[1])
    index.add(np.ascontiguousarray(candidates))
    own = int(np.bincount(candidate_photo).max())
    reach = min(len(candidates), 2 * count + own)
    mined = np.empty((len(queries), count), np.int64)
    for start in range(0, len(queries), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        _, near = index.search(np.ascontiguousarray(queries[rows]), reach)
        wrong = candidate_photo[near] != query_photo[rows, None]
        if teacher_queries is not None and teacher_candidates is not None:
            scores = np.einsum("qd,qnd->qn", teacher_queries[rows], teacher_candidates[near])
            best_own = _best_own(
                teacher_queries[rows], teacher_candidates, query_photo[rows], candidate_photo
            )
            wrong &= scores < best_own[:, None]
        for offset, (items, keep) in enumerate(zip(near, wrong, strict=True)):
            found = items[keep] if keep.any() else items
            mined[start + offset] = np.resize(found, count)
    return mined


def _best_own(
    queries: Vectors, candidates: Vectors, query_photo: Indices, candidate_photo: Indices
) -> Vectors:
    order = np.argsort(candidate_photo, kind="stable")
    first = np.searchsorted(candidate_photo[order], query_photo, side="left")
    last = np.searchsorted(candidate_photo[order], query_photo, side="right")
    best = [
        float((candidates[order[low:high]] @ query).max())
        for query, low, high in zip(queries, first, last, strict=True)
    ]
    return np.array(best, np.float32)

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
        Candidate indices ``(q, count)``; where fewer exist, they repeat. A query whose near
        candidates the teacher finds right throughout keeps those of other photos; only
        where no other photo exists do its own candidates stand in.
    """
    index = faiss.IndexFlatIP(candidates.shape[1])
    index.add(np.ascontiguousarray(candidates))
    own = int(np.bincount(candidate_photo).max())
    reach = min(len(candidates), 2 * count + own)
    best_own = np.empty(0, np.float32)
    if teacher_queries is not None and teacher_candidates is not None:
        best_own = _best_own(teacher_queries, teacher_candidates, query_photo, candidate_photo)
    mined = np.empty((len(queries), count), np.int64)
    for start in range(0, len(queries), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        _, near = index.search(np.ascontiguousarray(queries[rows]), reach)
        other = candidate_photo[near] != query_photo[rows, None]
        wrong = other
        if teacher_queries is not None and teacher_candidates is not None:
            scores = np.einsum("qd,qnd->qn", teacher_queries[rows], teacher_candidates[near])
            wrong = other & (scores < best_own[rows, None])
        for offset, items in enumerate(near):
            choices = (items[wrong[offset]], items[other[offset]], items)
            mined[start + offset] = np.resize(next(c for c in choices if len(c)), count)
    return mined


def _best_own(
    queries: Vectors, candidates: Vectors, query_photo: Indices, candidate_photo: Indices
) -> Vectors:
    """The teacher's score of each query's best candidate of its own photo, ``(q,)``."""
    order = np.argsort(candidate_photo, kind="stable")
    first = np.searchsorted(candidate_photo[order], query_photo, side="left")
    last = np.searchsorted(candidate_photo[order], query_photo, side="right")
    best = [
        float((candidates[order[low:high]] @ query).max())
        for query, low, high in zip(queries, first, last, strict=True)
    ]
    return np.array(best, np.float32)

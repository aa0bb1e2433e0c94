"""Comparing a query with some rows of a vector file, without holding the file in memory."""

import numpy as np
from numpy.typing import NDArray

from retrieval.index.protocol import Matches, Queries, Vectors

# Rows read at once: at 512 dimensions, 16 MiB of fp16 and twice that in float32.
_BLOCK = 16_384


def nearest_among(vectors: Vectors, rows: NDArray[np.int64], queries: Queries, top: int) -> Matches:
    """The ``top`` best of some ``rows`` for each query ``(queries, dim)``, exactly.

    Args:
        vectors: All rows ``(rows, dim)``, memory-mapped for instance.
        rows: The rows to compare.
        queries: Vectors of length one.
        top: How many to return for each query; fewer rows leave -1.
    """
    best = Matches.none(len(queries))
    for start in range(0, len(rows), _BLOCK):
        some = rows[start : start + _BLOCK]
        scores = queries @ vectors[some].astype(np.float32).T
        best = merged(best, Matches(np.broadcast_to(some, scores.shape), scores), top)
    return padded(best, top)


def merged(first: Matches, second: Matches, top: int) -> Matches:
    """The ``top`` best of two answers to the same queries; equal scores keep their order."""
    rows = np.concatenate([first.rows, second.rows], axis=1)
    scores = np.concatenate([first.scores, second.scores], axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return Matches(
        np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)
    )


def padded(matches: Matches, top: int) -> Matches:
    """The same answer, ``top`` wide; where there are fewer rows, -1."""
    missing = top - matches.rows.shape[1]
    if missing <= 0:
        return matches
    wide = ((0, 0), (0, missing))
    return Matches(
        np.pad(matches.rows, wide, constant_values=-1),
        np.pad(matches.scores, wide, constant_values=-np.inf),
    )

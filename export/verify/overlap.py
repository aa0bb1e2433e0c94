"""How much of what a search shows stays the same."""

import numpy as np
from numpy.typing import NDArray

from retrieval.encode.protocol import Embeddings

TOP = 10
_QUERIES_AT_ONCE = 1000


def top_overlap(
    photos: Embeddings, sentences: Embeddings, other_photos: Embeddings, other_sentences: Embeddings
) -> float:
    """Mean share of the first ten photos of a sentence that two models have in common.

    Args:
        photos: Of one model, ``(photos, dim)``.
        sentences: Of the same model, ``(sentences, dim)``.
        other_photos: Of the other, in the same order.
        other_sentences: Of the other, in the same order.
    """
    top = min(TOP, len(photos))
    shared = 0
    for start in range(0, len(sentences), _QUERIES_AT_ONCE):
        part = slice(start, start + _QUERIES_AT_ONCE)
        one = _best(sentences[part] @ photos.T, top)
        other = _best(other_sentences[part] @ other_photos.T, top)
        shared += int((one[:, :, None] == other[:, None, :]).sum())
    return shared / (top * len(sentences))


def _best(scores: NDArray[np.float32], top: int) -> NDArray[np.int64]:
    """Columns of the highest scores; of equal ones the first."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :top]

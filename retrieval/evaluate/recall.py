"""Recall@k and median rank of photos by sentences and of sentences by photos.

The definition is that of CLIP_benchmark's zero-shot retrieval: a sentence scores when its
one photo is among the first k photos, a photo when any of its sentences is among the first
k sentences. CLIP_benchmark leaves the order of equal scores to ``torch.topk``. Here equal
scores are ranked by position, the earlier photo or sentence first, which is one of the
orders that ``topk`` may return, and the same on every machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.spec.errors import EvaluationError

KS = (1, 5, 10)
_SCORES_AT_ONCE = 16_000_000
"""Entries of the score matrix held in memory: 64 MB of float32."""

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ranking:
    """How well one side finds the other."""

    recall: dict[int, float]
    """Recall@k, a fraction from 0 to 1, by k."""
    median_rank: float
    """Median over the queries of the rank of the first right answer, counted from 1."""

    def to_dict(self) -> dict[str, float]:
        """``{"recall@1": 0.12, ..., "median_rank": 9.0}``."""
        named = {f"recall@{k}": value for k, value in self.recall.items()}
        return {**named, "median_rank": self.median_rank}


@dataclass(frozen=True, slots=True)
class RetrievalMetrics:
    """Both directions of retrieval on one set of captioned photos."""

    text_to_image: Ranking
    image_to_text: Ranking
    photos: int
    captions: int

    @property
    def mean_recall(self) -> float:
        """Mean of every recall@k of both directions: one number to choose a model by."""
        values = [*self.text_to_image.recall.values(), *self.image_to_text.recall.values()]
        return sum(values) / len(values)

    def to_dict(self) -> dict[str, Any]:
        """The object that ``leanclip evaluate --json`` prints."""
        return {
            "text_to_image": self.text_to_image.to_dict(),
            "image_to_text": self.image_to_text.to_dict(),
            "photos": self.photos,
            "captions": self.captions,
        }


def evaluate_retrieval(
    image_embeddings: NDArray[np.floating],
    text_embeddings: NDArray[np.floating],
    photo_of_caption: Sequence[int] | NDArray[np.integer],
    ks: Sequence[int] = KS,
) -> RetrievalMetrics:
    """Recall@k and median rank in both directions, by dot product.

    The score matrix is made in strips, so memory stays near 200 MB for any number of
    photos and captions.

    Args:
        image_embeddings: ``(photos, dim)``.
        text_embeddings: ``(captions, dim)``.
        photo_of_caption: ``(captions,)``, the row of each caption's photo; every photo
            needs one caption or more.
        ks: Where to cut the ranking; a k beyond the number of candidates counts all.

    Raises:
        EvaluationError: Shapes do not fit, a photo has no caption, or an embedding is NaN
            or infinite.
    """
    images = np.ascontiguousarray(image_embeddings, dtype=np.float32)
    texts = np.ascontiguousarray(text_embeddings, dtype=np.float32)
    owner = np.asarray(photo_of_caption, dtype=np.int64)
    _check(images, texts, owner)
    captions_of_photo, starts = _grouped(owner, len(images))
    return RetrievalMetrics(
        text_to_image=_summary(_ranks(texts, images, owner, np.arange(len(texts) + 1)), ks),
        image_to_text=_summary(_ranks(images, texts, captions_of_photo, starts), ks),
        photos=len(images),
        captions=len(texts),
    )


def _check(images: Floats, texts: Floats, owner: Ints) -> None:
    if images.ndim != 2 or texts.ndim != 2 or images.shape[1] != texts.shape[1]:
        raise EvaluationError(
            f"photos embed to {images.shape} and captions to {texts.shape}; "
            "both must be (count, dim) with the same dim"
        )
    if owner.shape != (len(texts),):
        raise EvaluationError(f"{len(texts)} captions, but photo_of_caption is {owner.shape}")
    if len(images) == 0 or len(texts) == 0:
        raise EvaluationError("nothing to evaluate: no photos or no captions")
    if owner.min() < 0 or owner.max() >= len(images):
        raise EvaluationError(f"photo_of_caption must lie in 0 to {len(images) - 1}")
    without = np.flatnonzero(np.bincount(owner, minlength=len(images)) == 0)
    if len(without):
        raise EvaluationError(f"photo {without[0]} has no caption (of {len(without)} such)")
    for what, embeddings in (("photo", images), ("caption", texts)):
        bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
        if len(bad):
            raise EvaluationError(
                f"the embedding of {what} {bad[0]} is not finite ({len(bad)} of "
                f"{len(embeddings)}); the model is damaged or training diverged"
            )


def _grouped(owner: Ints, photos: int) -> tuple[Ints, Ints]:
    """Captions sorted by photo, and where each photo's captions start, ``(photos + 1,)``."""
    counts = np.bincount(owner, minlength=photos)
    return np.argsort(owner, kind="stable"), np.concatenate([[0], np.cumsum(counts)])


def _ranks(queries: Floats, candidates: Floats, answers: Ints, starts: Ints) -> Ints:
    """Rank, from 1, of the best right answer of each query; ``(queries,)``.

    The right answers of query ``i`` are ``answers[starts[i]:starts[i + 1]]``.
    """
    ranks = np.empty(len(queries), dtype=np.int64)
    rows = max(1, _SCORES_AT_ONCE // len(candidates))
    positions = np.arange(len(candidates))
    for first in range(0, len(queries), rows):
        last = min(first + rows, len(queries))
        scores = queries[first:last] @ candidates.T
        row = np.repeat(np.arange(last - first), np.diff(starts[first : last + 1]))
        answer = answers[starts[first] : starts[last]]
        # Of a query's right answers, the best score ranks first, and on a tie the earliest.
        order = np.lexsort((answer, -scores[row, answer], row))
        leading = order[np.unique(row, return_index=True)[1]]
        best = answer[leading][:, None]
        reached = np.take_along_axis(scores, best, axis=1)
        ahead = (scores > reached) | ((scores == reached) & (positions < best))
        ranks[first:last] = 1 + np.count_nonzero(ahead, axis=1)
    return ranks


def _summary(ranks: Ints, ks: Sequence[int]) -> Ranking:
    return Ranking(
        recall={k: float(np.mean(ranks <= k)) for k in ks},
        median_rank=float(np.median(ranks)),
    )

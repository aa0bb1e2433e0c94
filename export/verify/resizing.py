"""What a host's own way to shrink photos costs in recall."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.corpora.pairs import CaptionedPhoto, flatten_captions
from retrieval.encode.batches import Advance, encode_sentences, finite, loaded_ahead
from retrieval.encode.protocol import Embeddings, Encoder, Pixels
from retrieval.evaluate.recall import RetrievalMetrics, evaluate_retrieval
from retrieval.spec.base import Spec
from retrieval.spec.errors import EvaluationError, PhotoError
from retrieval.spec.preprocessing import Preprocessing
from retrieval.spec.ways import WAYS
from retrieval.vision.decode import EXTENT, open_photo
from retrieval.vision.preprocess import preprocess
from retrieval.vision.resizing import RESIZINGS, STANDS_FOR, Resizing

_AHEAD = 8


class ResizingCost(Spec):
    """Retrieval with photos that one filter has shrunk.

    Attributes:
        resizing: The filter.
        stands_for: Whose it is.
        worst_cosine: Least cosine of a photo's embedding to that with the model's own filter.
        median_cosine: The same in the middle.
        recall: Recall both ways, as `RetrievalMetrics.to_dict` gives it.
        mean_recall: Mean of recall@1, 5 and 10 of both directions.
        cost: Points of ``mean_recall`` that are lost; less than 0 where some are gained.
        cost_at_10: Points of recall@10 that are lost, by direction.
    """

    resizing: Resizing
    stands_for: str
    worst_cosine: float
    median_cosine: float
    recall: dict[str, Any]
    mean_recall: float
    cost: float
    cost_at_10: dict[str, float]


def measure_resizing(
    encoder: Encoder,
    pairs: Sequence[CaptionedPhoto],
    *,
    advance: Advance | None = None,
) -> list[ResizingCost]:
    """Search the same photos with every filter; the model's own comes first.

    Photos are decoded in full, so that the filters see what a host gives them.

    Args:
        encoder: The model.
        pairs: As `read_pairs` gives them; photos that cannot be decoded are left out.
        advance: Called with the photos that were just finished.

    Raises:
        EvaluationError: No photo can be decoded, or embeddings are not finite.
    """
    own = encoder.preprocessing.interpolation
    tried = [own, *(one for one in RESIZINGS if one != own)]
    kept, photos = _embedded(encoder, pairs, tried, advance)
    captions, owner = flatten_captions([pairs[index] for index in kept])
    texts = encode_sentences(encoder, captions)
    found = [evaluate_retrieval(images, texts, owner) for images in photos]
    return [
        _cost(resizing, images, metrics, photos[0], found[0])
        for resizing, images, metrics in zip(tried, photos, found, strict=True)
    ]


def _embedded(
    encoder: Encoder,
    pairs: Sequence[CaptionedPhoto],
    resizings: Sequence[Resizing],
    advance: Advance | None,
) -> tuple[list[int], list[Embeddings]]:
    """Which photos could be decoded, and their embeddings for each filter."""

    def load(photo: Path) -> Pixels:
        return _pixels(photo, encoder.preprocessing, resizings)

    kept, rows = [], []
    loaded = loaded_ahead([pair.image for pair in pairs], load, _AHEAD)
    for index, pixels in enumerate(loaded):
        if not isinstance(pixels, PhotoError):
            kept.append(index)
            rows.append(finite(encoder, encoder.encode_pixels(pixels)))
        if advance is not None:
            advance(1)
    if not kept:
        raise EvaluationError("none of the photos can be decoded")
    return kept, list(np.stack(rows, axis=1))


def _pixels(photo: Path, spec: Preprocessing, resizings: Sequence[Resizing]) -> Pixels:
    """One photo shrunk by each filter, ``(filters, 3, size, size)``."""
    image = open_photo(photo, exif_orientation=spec.exif_orientation, fill=spec.fill)
    extent = image.info[EXTENT]
    return np.stack([preprocess(image, spec, extent=extent, resizing=one) for one in resizings])


def _cost(
    resizing: Resizing,
    images: Embeddings,
    metrics: RetrievalMetrics,
    own_images: Embeddings,
    own: RetrievalMetrics,
) -> ResizingCost:
    cosines: NDArray[np.float32] = (images * own_images).sum(axis=1)
    lost = {
        way: 100 * (getattr(own, way).recall[10] - getattr(metrics, way).recall[10]) for way in WAYS
    }
    return ResizingCost(
        resizing=resizing,
        stands_for=STANDS_FOR[resizing],
        worst_cosine=float(cosines.min()),
        median_cosine=float(np.median(cosines)),
        recall=metrics.to_dict(),
        mean_recall=metrics.mean_recall,
        cost=100 * (own.mean_recall - metrics.mean_recall),
        cost_at_10=lost,
    )

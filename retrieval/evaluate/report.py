"""How good, fast and large one model is, on one set of captioned photos."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.corpora.pairs import CaptionedPhoto, flatten_captions
from retrieval.encode.batches import Advance, encode_photos, encode_sentences
from retrieval.encode.load import open_encoder
from retrieval.encode.protocol import Embeddings, Encoder
from retrieval.evaluate.latency import Latency, measure_latency
from retrieval.evaluate.recall import RetrievalMetrics, evaluate_retrieval
from retrieval.evaluate.size import ModelSize, measure_size
from retrieval.hub.names import model_folder
from retrieval.spec.defaults import BATCH_SIZE
from retrieval.spec.errors import EvaluationError
from retrieval.vision.preprocess import load_pixels

_TIMED_PHOTOS = 8
_TIMED_SENTENCES = 50


@dataclass(frozen=True, slots=True)
class EmbeddedPairs:
    """Captioned photos as embeddings, ready for `evaluate_retrieval`."""

    pairs: list[CaptionedPhoto]
    """Those whose photo could be decoded."""
    images: Embeddings
    """``(len(pairs), dim)``."""
    texts: Embeddings
    """``(captions, dim)``."""
    photo_of_caption: NDArray[np.int64]
    """``(captions,)``."""
    unreadable: list[str]
    """Why each of the other photos could not be decoded."""

    def metrics(self) -> RetrievalMetrics:
        """Recall both ways."""
        return evaluate_retrieval(self.images, self.texts, self.photo_of_caption)


@dataclass(frozen=True, slots=True)
class ModelReport:
    """One row of a table of models."""

    name: str
    metrics: RetrievalMetrics
    size: ModelSize | None = None
    latency: Latency | None = None
    unreadable: Sequence[str] = ()
    """Why photos were left out of the metrics."""

    def to_dict(self) -> dict[str, Any]:
        """What ``leanclip evaluate --json`` prints: the metrics, and latency if measured."""
        measured = {} if self.latency is None else {"latency": self.latency.to_dict()}
        return self.metrics.to_dict() | measured


def embed_pairs(
    encoder: Encoder,
    pairs: Sequence[CaptionedPhoto],
    *,
    batch_size: int = BATCH_SIZE,
    advance: Advance | None = None,
) -> EmbeddedPairs:
    """Embed captioned photos; one that cannot be decoded is left out with its captions.

    Args:
        encoder: The model.
        pairs: As `read_pairs` gives them.
        batch_size: Photos or captions at a time.
        advance: Called with the photos and captions that were just finished.

    Raises:
        EvaluationError: No photo can be decoded, or embeddings are not finite.
    """
    photos = encode_photos(
        encoder, [pair.image for pair in pairs], batch_size=batch_size, advance=advance
    )
    unreadable = list(photos.unreadable.values())
    if not photos.indices:
        first = unreadable[0] if unreadable else "there are none"
        raise EvaluationError(f"none of the photos can be decoded; the first: {first}")
    kept = [pairs[index] for index in photos.indices]
    captions, owner = flatten_captions(kept)
    texts = encode_sentences(encoder, captions, batch_size=batch_size, advance=advance)
    return EmbeddedPairs(kept, photos.embeddings, texts, np.array(owner, np.int64), unreadable)


def evaluate_model(
    source: str | Path,
    pairs: Sequence[CaptionedPhoto],
    *,
    threads: int | None = None,
    latency: bool = False,
    advance: Advance | None = None,
) -> ModelReport:
    """Open a model and measure it.

    Args:
        source: As for `open_encoder`.
        pairs: As `read_pairs` gives them.
        threads: Threads for embedding; None leaves the choice to the back end.
        latency: Also time single photos and sentences, on one thread.
        advance: Called with the photos and captions that were just finished.

    Raises:
        BundleError: No model there, or a damaged bundle.
        CheckpointError: A damaged checkpoint.
        EvaluationError: As `embed_pairs`.
    """
    encoder = open_encoder(source, threads=threads)
    embedded = embed_pairs(encoder, pairs, advance=advance)
    return ModelReport(
        name=encoder.name,
        metrics=embedded.metrics(),
        size=measure_size(model_folder(source)),
        latency=_latency(source, embedded.pairs) if latency else None,
        unreadable=embedded.unreadable,
    )


def _latency(source: str | Path, pairs: Sequence[CaptionedPhoto]) -> Latency:
    encoder = open_encoder(source, threads=1)
    photos = [load_pixels(pair.image, encoder.preprocessing) for pair in pairs[:_TIMED_PHOTOS]]
    captions, _ = flatten_captions(pairs[:_TIMED_SENTENCES])
    return measure_latency(encoder, np.stack(photos), captions[:_TIMED_SENTENCES], threads=1)

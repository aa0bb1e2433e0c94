"""Photos and sentences by the thousand through an encoder, photos decoded beside it."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from retrieval.encode.protocol import Embeddings, Encoder, Pixels
from retrieval.spec.errors import EvaluationError, PhotoError
from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.preprocess import load_pixels

BATCH_SIZE = 32
_BATCHES_AHEAD = 2
"""Batches of photos that are decoded while the encoder works."""

Advance = Callable[[int], None]
"""Called with the number of photos or sentences that were just finished."""


@dataclass(frozen=True, slots=True)
class EncodedPhotos:
    """Embeddings of the photos that could be read."""

    embeddings: Embeddings
    """``(len(indices), dim)``."""
    indices: list[int]
    """Which of the given photos each row is."""
    unreadable: dict[int, str]
    """Why each of the other photos could not be decoded."""


def encode_photos(
    encoder: Encoder,
    photos: Sequence[Path],
    *,
    batch_size: int = BATCH_SIZE,
    advance: Advance | None = None,
) -> EncodedPhotos:
    """Embed photo files; one that cannot be decoded is reported and does not stop the rest.

    Raises:
        EvaluationError: The encoder returned NaN or an infinite number.
    """
    rows: list[Embeddings] = []
    indices: list[int] = []
    unreadable: dict[int, str] = {}
    decoded = enumerate(_decoded(photos, encoder.preprocessing, batch_size * _BATCHES_AHEAD))
    while batch := list(islice(decoded, batch_size)):
        pixels = [one for _, one in batch if not isinstance(one, PhotoError)]
        indices += [index for index, one in batch if not isinstance(one, PhotoError)]
        unreadable |= {index: str(one) for index, one in batch if isinstance(one, PhotoError)}
        if pixels:
            rows.append(_finite(encoder, encoder.encode_pixels(np.stack(pixels))))
        if advance is not None:
            advance(len(batch))
    return EncodedPhotos(_joined(rows, encoder), indices, unreadable)


def encode_sentences(
    encoder: Encoder,
    sentences: Sequence[str],
    *,
    batch_size: int = BATCH_SIZE,
    advance: Advance | None = None,
) -> Embeddings:
    """Embed sentences; ``(len(sentences), dim)``.

    Raises:
        EvaluationError: The encoder returned NaN or an infinite number.
    """
    rows: list[Embeddings] = []
    for start in range(0, len(sentences), batch_size):
        batch = sentences[start : start + batch_size]
        rows.append(_finite(encoder, encoder.encode_sentences(batch)))
        if advance is not None:
            advance(len(batch))
    return _joined(rows, encoder)


def _decoded(
    photos: Sequence[Path], preprocessing: Preprocessing, ahead: int
) -> Iterator[Pixels | PhotoError]:
    def load(path: Path) -> Pixels | PhotoError:
        try:
            return load_pixels(path, preprocessing)
        except PhotoError as error:
            return error

    remaining = iter(photos)
    pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    waiting: deque[Future[Pixels | PhotoError]] = deque()
    try:
        waiting.extend(pool.submit(load, path) for path in islice(remaining, ahead))
        while waiting:
            done = waiting.popleft().result()
            waiting.extend(pool.submit(load, path) for path in islice(remaining, 1))
            yield done
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _finite(encoder: Encoder, embeddings: Embeddings) -> Embeddings:
    if not np.isfinite(embeddings).all():
        raise EvaluationError(
            f"{encoder.name} returned embeddings that are not finite; "
            "the model is damaged or its training diverged"
        )
    return embeddings


def _joined(rows: list[Embeddings], encoder: Encoder) -> Embeddings:
    return np.concatenate(rows) if rows else np.empty((0, encoder.dim), np.float32)

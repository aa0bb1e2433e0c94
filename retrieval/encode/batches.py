"""Photos and sentences by the thousand through an encoder, photos decoded beside it."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from retrieval.encode.protocol import Embeddings, Encoder
from retrieval.spec.defaults import BATCH_SIZE
from retrieval.spec.errors import EvaluationError, PhotoError
from retrieval.vision.preprocess import load_pixels

_BATCHES_AHEAD = 2
"""Batches of photos that are decoded while the encoder works."""

_Item = TypeVar("_Item")
_Loaded = TypeVar("_Loaded")

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
    decoded = enumerate(
        loaded_ahead(
            photos,
            lambda path: load_pixels(path, encoder.preprocessing),
            batch_size * _BATCHES_AHEAD,
        )
    )
    while batch := list(islice(decoded, batch_size)):
        pixels = [one for _, one in batch if not isinstance(one, PhotoError)]
        indices += [index for index, one in batch if not isinstance(one, PhotoError)]
        unreadable |= {index: str(one) for index, one in batch if isinstance(one, PhotoError)}
        if pixels:
            rows.append(finite(encoder, encoder.encode_pixels(np.stack(pixels))))
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
        rows.append(finite(encoder, encoder.encode_sentences(batch)))
        if advance is not None:
            advance(len(batch))
    return _joined(rows, encoder)


def loaded_ahead(
    items: Iterable[_Item],
    load: Callable[[_Item], _Loaded],
    ahead: int,
    *,
    threads: int | None = None,
) -> Iterator[_Loaded | PhotoError]:
    """What ``load`` gives or the `PhotoError` that it raises, in order.

    Threads, by default one a core, load up to ``ahead`` items while earlier ones are used.
    """

    def attempt(item: _Item) -> _Loaded | PhotoError:
        try:
            return load(item)
        except PhotoError as error:
            return error

    remaining = iter(items)
    pool = ThreadPoolExecutor(max_workers=threads or os.cpu_count())
    waiting: deque[Future[_Loaded | PhotoError]] = deque()
    try:
        waiting.extend(pool.submit(attempt, item) for item in islice(remaining, ahead))
        while waiting:
            done = waiting.popleft().result()
            waiting.extend(pool.submit(attempt, item) for item in islice(remaining, 1))
            yield done
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def finite(encoder: Encoder, embeddings: Embeddings) -> Embeddings:
    """The same embeddings.

    Raises:
        EvaluationError: One holds NaN or an infinite number.
    """
    if not np.isfinite(embeddings).all():
        raise EvaluationError(
            f"{encoder.name} returned embeddings that are not finite; "
            "the model is damaged or its training diverged"
        )
    return embeddings


def _joined(rows: list[Embeddings], encoder: Encoder) -> Embeddings:
    return np.concatenate(rows) if rows else np.empty((0, encoder.dim), np.float32)

"""Encoding beside decoding and beside committing: three things at a time, in bounded memory."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from retrieval.encode.protocol import Embeddings, Encoder
from retrieval.search.indexing.decoder import Decoded

# Two batches are what a kill can cost. Bigger ones are hardly faster on a CPU.
BATCH = 32
BATCHES_AHEAD = 3


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """A batch that has been through the encoder."""

    photos: list[Decoded]
    """With embeddings each, in order."""
    embeddings: list[Embeddings]
    """``(moments, dim)`` for each; not yet checked for being finite."""
    refused: list[Decoded]
    """Photos that could not be decoded."""


def encoded_batches(
    decoded: Iterator[Decoded], encoder: Encoder, *, abort: Callable[[], None]
) -> Generator[EncodedBatch, None, None]:
    """Encode photos in a thread of its own, one batch ahead of the one that is asked for.

    While the reader commits a batch and waits for the disk, the next is being encoded, and
    the decoders work on those after it.

    Args:
        decoded: Photos, each as it becomes ready.
        encoder: Used from that thread only, as long as this runs.
        abort: Ends whatever ``decoded`` may be waiting for, when the reader leaves early.
    """

    def advance() -> EncodedBatch | None:
        photos = _taken(decoded)
        return _encoded(photos, encoder) if photos else None

    with ThreadPoolExecutor(1, "encode") as thread:
        try:
            coming = thread.submit(advance)
            while (batch := coming.result()) is not None:
                coming = thread.submit(advance)
                yield batch
        except BaseException:
            abort()
            raise


def _taken(decoded: Iterator[Decoded]) -> list[Decoded]:
    """The next photos, until together they have `BATCH` pictures."""
    photos: list[Decoded] = []
    pictures = 0
    while pictures < BATCH and (photo := next(decoded, None)) is not None:
        photos.append(photo)
        pictures += len(photo.moments)
    return photos


def _encoded(photos: list[Decoded], encoder: Encoder) -> EncodedBatch:
    ready = [photo for photo in photos if photo.pixels is not None]
    refused = [photo for photo in photos if photo.pixels is None]
    if not ready:
        return EncodedBatch([], [], refused)
    pixels = np.concatenate([photo.pixels for photo in ready if photo.pixels is not None])
    # The last video may exceed the batch by nearly as much again.
    parts = [pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH)]
    embeddings = np.concatenate([encoder.encode_pixels(part) for part in parts])
    ends = np.cumsum([len(photo.moments) for photo in ready])
    return EncodedBatch(ready, np.split(embeddings, ends[:-1]), refused)

"""Encoding beside decoding and beside committing: three things at a time, in bounded memory."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

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
    """With an embedding each, in order."""
    embeddings: Embeddings
    """``(len(photos), dim)``; not yet checked for being finite."""
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
        photos = list(islice(decoded, BATCH))
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


def _encoded(photos: list[Decoded], encoder: Encoder) -> EncodedBatch:
    ready = [photo for photo in photos if photo.pixels is not None]
    embeddings = np.empty((0, encoder.dim), np.float32)
    if ready:
        embeddings = encoder.encode_pixels(
            np.stack([p.pixels for p in ready if p.pixels is not None])
        )
    return EncodedBatch(ready, embeddings, [photo for photo in photos if photo.pixels is None])

"""What every back end that turns photos and sentences into embeddings can do."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.language.tokenizer import Tokenizer
from retrieval.spec.preprocessing import Preprocessing

Pixels = NDArray[np.uint8]
Embeddings = NDArray[np.float32]


class Encoder(Protocol):
    """A dual encoder ready to run.

    Embeddings are float32 ``(batch, dim)`` of length one. Decoding photos is not an
    encoder's work: `retrieval.vision` does it, so that it can run beside the encoder.
    """

    @property
    def name(self) -> str:
        """What to call the model in a table."""

    @property
    def fingerprint(self) -> str:
        """Names the embedding space; vectors of different ones are never compared."""

    @property
    def dim(self) -> int:
        """Length of an embedding."""

    @property
    def preprocessing(self) -> Preprocessing:
        """How pixels for `encode_pixels` are made."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Makes the ids that the text tower takes."""

    def encode_pixels(self, pixels: Pixels) -> Embeddings:
        """Embed uint8 pixels ``(batch, 3, size, size)`` in RGB order, as `vision` makes them."""

    def encode_sentences(self, sentences: Sequence[str]) -> Embeddings:
        """Embed sentences; ``(len(sentences), dim)``."""

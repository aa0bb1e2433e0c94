"""A checkpoint as an encoder, in PyTorch: for evaluating what is not exported yet."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from retrieval.encode.protocol import Embeddings, Pixels
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.checkpoint import Checkpoint, load_checkpoint
from retrieval.models.normalise import PixelNormaliser
from retrieval.spec.preprocessing import Preprocessing

MAX_BATCH = 32
"""Rows that one call of a tower takes; more are split, to bound memory."""


class TorchEncoder:
    """Both towers of a checkpoint.

    Args:
        source: A checkpoint folder, or one that is loaded already.
        device: Where to run, as torch names it.
        threads: Threads for one tower; None leaves torch's setting as it is.

    Raises:
        CheckpointError: The folder is not a checkpoint or is damaged.
    """

    def __init__(
        self, source: Path | Checkpoint, *, device: str = "cpu", threads: int | None = None
    ) -> None:
        checkpoint = load_checkpoint(source) if isinstance(source, Path) else source
        self.checkpoint = checkpoint
        self._device = torch.device(device)
        self._model = checkpoint.model.to(self._device).eval()
        # The memory layout in which convolutions run fastest.
        self._model.image.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._threads = threads
        self._normaliser = PixelNormaliser(self.preprocessing).to(self._device)

    @property
    def name(self) -> str:
        return self.checkpoint.config.name

    @property
    def fingerprint(self) -> str:
        return self.checkpoint.fingerprint

    @property
    def dim(self) -> int:
        return self.checkpoint.config.embedding_dim

    @property
    def preprocessing(self) -> Preprocessing:
        return self.checkpoint.config.preprocessing

    @property
    def tokenizer(self) -> Tokenizer:
        return self.checkpoint.tokenizer

    def encode_pixels(self, pixels: Pixels) -> Embeddings:
        return self._run(self._encode_batch_of_pixels, pixels)

    def encode_sentences(self, sentences: Sequence[str]) -> Embeddings:
        return self._run(self._model.encode_text, self.tokenizer.batch(sentences))

    @torch.inference_mode()
    def _run(
        self, encode: Callable[[torch.Tensor], torch.Tensor], inputs: NDArray[np.generic]
    ) -> Embeddings:
        found = np.empty((len(inputs), self.dim), np.float32)
        with _threads(self._threads):
            for start in range(0, len(inputs), MAX_BATCH):
                batch = torch.from_numpy(inputs[start : start + MAX_BATCH]).to(self._device)
                found[start : start + MAX_BATCH] = encode(batch).float().cpu().numpy()
        return found

    def _encode_batch_of_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        normalised = self._normaliser(pixels).contiguous(memory_format=torch.channels_last)
        return self._model.encode_image(normalised)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Use so many threads within; torch knows only one setting for the whole process."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if count is not None:
            torch.set_num_threads(before)

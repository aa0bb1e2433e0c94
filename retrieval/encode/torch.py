"""A checkpoint as an encoder, in PyTorch: for evaluating what is not exported yet."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

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

    Raises:
        CheckpointError: The folder is not a checkpoint or is damaged.
    """

    def __init__(self, source: Path | Checkpoint, *, device: str = "cpu") -> None:
        checkpoint = load_checkpoint(source) if isinstance(source, Path) else source
        self._checkpoint = checkpoint
        self._device = torch.device(device)
        self._model = checkpoint.model.to(self._device).eval()
        self._normaliser = PixelNormaliser(self.preprocessing).to(self._device)

    @property
    def name(self) -> str:
        return self._checkpoint.config.name

    @property
    def fingerprint(self) -> str:
        return self._checkpoint.fingerprint

    @property
    def dim(self) -> int:
        return self._checkpoint.config.embedding_dim

    @property
    def preprocessing(self) -> Preprocessing:
        return self._checkpoint.config.preprocessing

    @property
    def tokenizer(self) -> Tokenizer:
        return self._checkpoint.tokenizer

    @torch.inference_mode()
    def encode_pixels(self, pixels: Pixels) -> Embeddings:
        batches = torch.split(torch.from_numpy(pixels), MAX_BATCH)
        found = [
            self._model.encode_image(self._normaliser(batch.to(self._device))) for batch in batches
        ]
        return self._joined(found)

    @torch.inference_mode()
    def encode_sentences(self, sentences: Sequence[str]) -> Embeddings:
        batches = torch.split(torch.from_numpy(self.tokenizer.batch(sentences)), MAX_BATCH)
        return self._joined([self._model.encode_text(ids.to(self._device)) for ids in batches])

    def _joined(self, parts: list[torch.Tensor]) -> Embeddings:
        if not parts or len(parts[0]) == 0:
            return np.empty((0, self.dim), np.float32)
        embeddings: Embeddings = torch.cat(parts).float().cpu().numpy()
        return embeddings

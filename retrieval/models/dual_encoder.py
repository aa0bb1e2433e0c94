"""The model: an image tower and a text tower that meet in one space."""

import torch.nn.functional as F
from torch import Tensor, nn

from retrieval.models.registry import make_image_tower, make_text_tower
from retrieval.spec.model import ModelConfig


class DualEncoder(nn.Module):
    """Two towers; both return embeddings of length one, ``(batch, embedding_dim)``.

    Example:
        >>> model = DualEncoder(config)  # doctest: +SKIP
        >>> photos = model.encode_image(pixels)
        >>> sentences = model.encode_text(ids)
        >>> similarity = photos @ sentences.T
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.image = make_image_tower(config)
        self.text = make_text_tower(config)

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Embed normalised pixels ``(batch, 3, size, size)``."""
        return F.normalize(self.image(pixels), dim=-1)

    def encode_text(self, ids: Tensor) -> Tensor:
        """Embed integer token ids ``(batch, length)``."""
        return F.normalize(self.text(ids), dim=-1)


def parameter_count(module: nn.Module) -> int:
    """Number of parameters, buffers not counted."""
    return sum(parameter.numel() for parameter in module.parameters())

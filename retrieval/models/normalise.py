"""Pixels as the host delivers them to what a tower was trained on, as a module."""

import torch
from torch import Tensor, nn

from retrieval.spec.preprocessing import Preprocessing


class PixelNormaliser(nn.Module):
    """Scale pixels 0 to 255 and normalise per channel: one multiply, one add.

    It sits in front of the image tower in training, in the PyTorch back end and inside
    every exported graph, so that hosts never normalise.
    """

    def __init__(self, spec: Preprocessing) -> None:
        super().__init__()
        self.scale: Tensor
        self.shift: Tensor
        low, high = spec.value_range
        mean = torch.tensor(spec.mean)
        std = torch.tensor(spec.std)
        scale = (high - low) / 255 / std
        shift = (low - mean) / std
        self.register_buffer("scale", scale.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", shift.view(1, 3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """RGB ``(batch, 3, size, size)``, uint8 or float, to float32 of the same shape."""
        return pixels.to(self.scale.dtype) * self.scale + self.shift

"""Image tower of one or several timm backbones."""

import difflib
from typing import Any

import torch
from torch import Tensor, nn

import retrieval.models.torchvision_guard  # noqa: F401  (before timm)
from retrieval.spec.errors import CheckpointError
from retrieval.spec.model import TimmBackbone, TimmTower


class TimmImageTower(nn.Module):
    """Pooled features of every backbone, joined, optionally standardised, projected.

    Joining two differently trained backbones is the cheapest strong teacher: their errors
    differ. A student has one.
    """

    def __init__(self, spec: TimmTower, embedding_dim: int) -> None:
        super().__init__()
        self.backbones = nn.ModuleList(_create(backbone) for backbone in spec.backbones)
        self.feature_mean: Tensor
        self.feature_scale: Tensor
        features = sum(_output_size(backbone) for backbone in self.backbones)
        self.register_buffer("feature_mean", torch.zeros(features))
        self.register_buffer("feature_scale", torch.ones(features))
        self.standardise = spec.standardise
        self.dropout = nn.Dropout(0.0)
        self.projection = nn.Linear(features, embedding_dim)

    def features(self, pixels: Tensor) -> Tensor:
        """Pooled, joined and standardised features, ``(batch, features)``."""
        joined = torch.cat([backbone(pixels) for backbone in self.backbones], dim=1)
        if self.standardise:
            joined = (joined - self.feature_mean) * self.feature_scale
        return joined

    def forward(self, pixels: Tensor) -> Tensor:
        """``(batch, 3, size, size)`` to ``(batch, embedding_dim)``."""
        embedding: Tensor = self.projection(self.dropout(self.features(pixels)))
        return embedding


def _create(spec: TimmBackbone) -> nn.Module:
    import timm

    if not timm.is_model(spec.name):
        close = difflib.get_close_matches(spec.name, timm.list_models(), n=5)
        hint = f"; close names: {', '.join(close)}" if close else ""
        raise CheckpointError(f"timm has no model {spec.name!r}{hint}")
    try:
        backbone: nn.Module = timm.create_model(
            spec.name, pretrained=False, num_classes=0, **spec.options
        )
    except Exception as error:  # Options reach the constructors of a thousand models.
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"timm cannot make {spec.name} with options {spec.options}: {reason}"
        ) from error
    return backbone


def _output_size(backbone: nn.Module) -> int:
    # Some families (MobileNetV3, V4) widen after pooling; `num_features` is before that.
    size: Any = getattr(backbone, "head_hidden_size", None) or backbone.num_features
    return int(size)

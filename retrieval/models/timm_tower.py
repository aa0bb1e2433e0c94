"""Image tower of one or several timm backbones."""

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
        return self.projection(self.dropout(self.features(pixels)))


def _create(spec: TimmBackbone) -> nn.Module:
    import timm

    try:
        return timm.create_model(spec.name, pretrained=False, num_classes=0, **spec.options)
    except (RuntimeError, TypeError) as error:
        close = ", ".join(timm.list_models(f"*{spec.name[:8]}*")[:5])
        hint = f"; close names: {close}" if close else ""
        raise CheckpointError(f"timm cannot make {spec.name!r} ({error}){hint}") from error


def _output_size(backbone: nn.Module) -> int:
    # Some families (MobileNetV3, V4) widen after pooling; `num_features` is before that.
    return int(getattr(backbone, "head_hidden_size", None) or backbone.num_features)

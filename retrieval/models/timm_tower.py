"""Image tower of one or several timm backbones."""

import difflib
from typing import Any

import torch
from torch import Tensor, nn

import retrieval.models.torchvision_guard  # noqa: F401  (before timm)
from retrieval.models.surgery.widths import narrow
from retrieval.spec.errors import CheckpointError
from retrieval.spec.model import TimmBackbone, TimmTower
from retrieval.spec.reasons import first_line, in_one_line

PROBE_SIZE = 64
"""Pixels a side that every convolutional network takes, for runs that only look at shapes."""

# Of the order of a weak feature: keeps the root's slope at nought finite.
_ROOT_SLACK = 0.01


class TimmImageTower(nn.Module):
    """Pooled features of every backbone, joined, projected; optionally rooted and standardised.

    Joining two differently trained backbones is the cheapest strong teacher: their errors
    differ. A student has one.
    """

    def __init__(self, spec: TimmTower, embedding_dim: int) -> None:
        super().__init__()
        self.backbones = nn.ModuleList(_create(backbone) for backbone in spec.backbones)
        self.feature_mean: Tensor
        self.feature_scale: Tensor
        features = sum(
            output_size(backbone, one)
            for backbone, one in zip(self.backbones, spec.backbones, strict=True)
        )
        self.register_buffer("feature_mean", torch.zeros(features))
        self.register_buffer("feature_scale", torch.ones(features))
        self.power_normalise = spec.power_normalise
        self.standardise = spec.standardise
        self.dropout = nn.Dropout(0.0)
        self.projection = nn.Linear(features, embedding_dim)

    def features(self, pixels: Tensor) -> Tensor:
        """Pooled, joined and normalised features, ``(batch, features)``."""
        joined = torch.cat([backbone(pixels) for backbone in self.backbones], dim=1)
        if self.power_normalise:
            joined = joined / torch.sqrt(joined.abs() + _ROOT_SLACK)
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
        reason = in_one_line(error)
        raise CheckpointError(
            f"timm cannot make {spec.name} with options {spec.options}: {reason}"
        ) from error
    try:
        narrow(backbone, spec.widths)
    except CheckpointError as error:
        raise CheckpointError(f"{spec.name}: {error}") from error
    return backbone


def output_size(backbone: nn.Module, spec: TimmBackbone) -> int:
    """Features that a backbone gives after pooling."""
    if spec.widths:
        return _measured_size(backbone, spec)
    # Some families (MobileNetV3, V4) widen after pooling; `num_features` is before that.
    size: Any = getattr(backbone, "head_hidden_size", None) or backbone.num_features
    return int(size)


def _measured_size(backbone: nn.Module, spec: TimmBackbone) -> int:
    """Features of a narrowed network, which its own attributes do not know."""
    training = backbone.training
    try:
        with torch.no_grad():
            features = backbone.eval()(torch.zeros(1, 3, PROBE_SIZE, PROBE_SIZE))
    except RuntimeError as error:
        reason = first_line(error)
        raise CheckpointError(f"{spec.name}: widths do not fit together: {reason}") from error
    finally:
        backbone.train(training)
    return int(features.shape[-1])

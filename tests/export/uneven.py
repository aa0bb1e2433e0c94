"""A tower of which one feature is far above the others and one is nought."""

import torch

from retrieval.models.dual_encoder import DualEncoder
from tests.tiny import tiny_model


def with_uneven_features() -> DualEncoder:
    """Roots of its features need their slack, which the scale of int8 sums would lose."""
    image = {
        "kind": "timm",
        "backbones": [{"name": "test_efficientnet"}],
        "power_normalise": True,
    }
    model = tiny_model(image=image)
    last = model.image.backbones[0].bn2
    with torch.no_grad():
        last.weight[0], last.bias[1] = 1e4, -100
    return model

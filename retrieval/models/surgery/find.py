"""All units of one kind that a model has."""

from torch import nn

from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.surgery.transformer import (
    OurTransformer,
    transformer_groups,
    weight_group,
)
from retrieval.models.surgery.units import Granularity, Group
from retrieval.models.timm_tower import TimmImageTower
from retrieval.spec.errors import SurgeryError
from retrieval.spec.tower import Tower


def find_groups(model: DualEncoder, granularity: Granularity, tower: Tower) -> list[Group]:
    """Groups of units of one tower, in the order in which the tower computes.

    Transformers of ours have heads, neurons, layers and the hidden width, timm towers have
    channels; both have single weights (of blocks or backbones; embeddings, norms and the
    projection into the joint space are not counted among them).

    Args:
        model: Groups hold its parameters themselves, so they end with it: after `shrink` or
            `adopt` find them anew.
        granularity: What a unit is.
        tower: Which side of the model.

    Raises:
        SurgeryError: The tower has no such units.
    """
    side = getattr(model, tower)
    found: list[Group] | None = None
    if isinstance(side, OurTransformer):
        found = transformer_groups(side, tower, granularity)
    elif granularity == "weight":
        found = _backbone_weights(side, tower)
    elif granularity == "channel" and isinstance(side, TimmImageTower):
        from retrieval.models.surgery.channels import channel_groups

        found = channel_groups(model)
    if found is None:
        kind = getattr(model.config, tower).kind
        raise SurgeryError(
            f"the {tower} tower is of kind {kind} and has no units of granularity "
            f"{granularity}; choose {_choices(side)}"
        )
    return found


def _backbone_weights(tower: nn.Module, prefix: str) -> list[Group]:
    """One group for each convolution and linear, but for a timm tower's own projection."""
    return [
        weight_group(f"{prefix}.{name}.weight", module.weight)
        for name, module in tower.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and name != "projection"
    ]


def _choices(tower: nn.Module) -> str:
    if isinstance(tower, OurTransformer):
        return "head, neuron, layer, hidden or weight"
    return "channel or weight" if isinstance(tower, TimmImageTower) else "weight"

"""Sums over units of products of weights and gradients."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from retrieval.models.surgery.units import Group, Member
from retrieval.spec.errors import TrainingError

Weights = Literal["silencers", "all"]
"""Which weights of a unit count. ``silencers``: those that pruning sets to zero, so that the
sum of weight times gradient is the derivative by a gate on the unit. ``all``: every weight
that is taken out with the unit. Units that cannot be silenced always count ``all``."""


def counted(group: Group, weights: Weights) -> tuple[Member, ...]:
    """The members that ``weights`` names."""
    return group.silencers if weights == "silencers" and group.silencers else group.members


@torch.no_grad()
def summed(group: Group, weights: Weights, value: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Signed sum over each unit of a value of weights and their gradients.

    Frozen members are left out while others of the group have gradients.

    Args:
        group: Its units.
        weights: Which of their weights count.
        value: Of a parameter and its gradient, elementwise.

    Returns:
        float32 ``(units,)``.

    Raises:
        TrainingError: No parameter of the group has a gradient.
    """
    sums = [
        one.sums(value(one.parameter.float(), one.parameter.grad.float()), group.units)
        for one in counted(group, weights)
        if one.parameter.grad is not None
    ]
    if not sums:
        raise no_gradients(group)
    return torch.stack(sums).sum(dim=0)


def no_gradients(group: Group) -> TrainingError:
    """The error for a group that cannot be scored since it does not train."""
    return TrainingError(
        f"{group.name} has no gradients to score its units by: train the tower that it "
        "belongs to in this stage, leave the group out of pruning, or choose the importance "
        "magnitude"
    )

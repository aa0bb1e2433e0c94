"""Magnitude: small weights go first. The baseline of all pruning."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from retrieval.compress.importance.gradients import Weights, counted
from retrieval.compress.importance.importance import Context, Criterion, Importance
from retrieval.models.surgery.units import Group


class Magnitude(Criterion):
    """L2 norm of a unit's weights; of a single weight, its absolute value."""

    criterion: Literal["magnitude"] = "magnitude"
    per_weight: bool = True
    """Divide by the root of the unit's number of weights (a root mean square), so that units
    of different size compare."""
    weights: Weights = "all"

    def start(self, context: Context) -> "MagnitudeImportance":
        return MagnitudeImportance(context.groups, self)


class MagnitudeImportance(Importance):
    """Norms of the present weights; needs no training step."""

    def __init__(self, groups: Sequence[Group], settings: Magnitude) -> None:
        super().__init__(groups)
        self.settings = settings

    @torch.no_grad()
    def scores(self) -> dict[str, Tensor]:
        return {group.name: self._norm(group) for group in self.groups}

    def _norm(self, group: Group) -> Tensor:
        members = counted(group, self.settings.weights)
        squares = [one.sums(one.parameter.float().square(), group.units) for one in members]
        total = torch.stack(squares).sum(dim=0)
        if self.settings.per_weight:
            ones = [
                one.sums(torch.ones_like(one.parameter).float(), group.units) for one in members
            ]
            total = total / torch.stack(ones).sum(dim=0).clamp(min=1)
        return total.sqrt()

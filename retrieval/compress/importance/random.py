"""Random scores: what every criterion must beat."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from retrieval.compress.importance.importance import Context, Criterion, Importance
from retrieval.models.surgery.units import Group


class Random(Criterion):
    """Uniform scores that depend on the seed and the groups alone."""

    criterion: Literal["random"] = "random"
    seed: int = 0

    def start(self, context: Context) -> "RandomImportance":
        return RandomImportance(context.groups, self.seed)


class RandomImportance(Importance):
    """Drawn once, so that units that went stay away."""

    def __init__(self, groups: Sequence[Group], seed: int) -> None:
        super().__init__(groups)
        generator = torch.Generator().manual_seed(seed)
        self.drawn = {
            group.name: torch.rand(group.units, generator=generator).to(
                group.members[0].parameter.device
            )
            for group in groups
        }

    def scores(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.drawn.items()}

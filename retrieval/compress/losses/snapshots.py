"""Contrastive pruning: stay near what earlier states of the model made of the same items (CAP)."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from retrieval.compress.loop.settings import Weight
from retrieval.compress.losses.contrastive import contrastive_distillation
from retrieval.compress.losses.loss import Loss, Need
from retrieval.compress.losses.step import Side, Step


class SnapshotContrast(Loss):
    """Contrast with the unpruned model and with every intermediate snapshot (AAAI 2022).

    The instance-level form of CAP: an item's embedding must pick its own earlier embedding
    out of a bank. CAP's third bank, of the fine-tuned teacher, is the loss `contrastive`.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"earlier self"})

    first: Weight = 1.0
    """Weight of the model as the stage was given it (PrC)."""
    later: Weight = 1.0
    """Weight of the mean over the snapshots of later epochs (SnC)."""
    kept: Annotated[int, Field(ge=1)] = 4
    """Latest snapshots that are kept in memory, besides the first."""
    bank: Annotated[int, Field(ge=0)] = 4096
    temperature: Annotated[float, Field(gt=0)] = 0.1

    def __call__(self, step: Step) -> Tensor:
        return torch.stack([self._of(side) for side in step.sides]).mean()

    def _of(self, side: Side) -> Tensor:
        total = torch.zeros((), device=side.student.device)
        for weight, wanted in ((self.first, True), (self.later, False)):
            chosen = [one for one in side.snapshots if one.first is wanted]
            if weight and chosen:
                losses = [
                    contrastive_distillation(
                        side.student, one.own, one.bank(self.bank), self.temperature
                    )
                    for one in chosen
                ]
                total = total + weight * torch.stack(losses).mean()
        return total

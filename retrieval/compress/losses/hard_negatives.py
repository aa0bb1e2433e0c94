"""Contrast with the items that an index of the frozen side ranks wrongly high."""

from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from retrieval.compress.losses.loss import Loss, Need
from retrieval.compress.losses.step import Step


class HardNegativeContrast(Loss):
    """Contrast with what an index of the frozen tower ranks wrongly high (``L_HN``)."""

    needs: ClassVar[frozenset[Need]] = frozenset({"pairs", "frozen tower"})

    mined: Annotated[int, Field(ge=1)] = 64
    """Nearest wrong items kept per query when mining, at the start of each epoch."""
    negatives: Annotated[int, Field(ge=1)] = 8
    """Of these, how many each step draws."""
    filtered: bool = True
    """Leave out what the teacher scores as high as the right item, if there is a teacher: it
    is probably right too."""

    def __call__(self, step: Step) -> Tensor:
        assert step.hard is not None
        assert step.scale is not None
        hard = step.hard
        return hard_negative_contrast(hard.query, hard.positive, hard.negatives, step.scale)


def hard_negative_contrast(
    query: Tensor, positive: Tensor, negatives: Tensor, scale: Tensor
) -> Tensor:
    """``-log( exp(q p / T) / (exp(q p / T) + sum_n exp(q n / T)) )`` (``L_HN`` of stage 2).

    Args:
        query: Length-one embeddings of the tower in training, ``(batch, dim)``.
        positive: The matching frozen embedding of each query, ``(batch, dim)``.
        negatives: Mined frozen embeddings of each query, ``(batch, k, dim)``.
        scale: Inverse temperature, a scalar.

    Returns:
        A scalar.
    """
    right = (query * positive).sum(dim=1, keepdim=True)
    wrong = torch.einsum("bd,bkd->bk", query, negatives)
    logits = torch.cat([right, wrong], dim=1) * scale
    return F.cross_entropy(logits, torch.zeros(len(query), dtype=torch.long, device=query.device))

"""Hidden-state regression: layer by layer like the teacher (TinyBERT)."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from retrieval.compress.losses.loss import Loss, Need
from retrieval.compress.losses.step import Step

LayerMap = Literal["uniform", "first", "last"] | tuple[int, ...]


class HiddenRegression(Loss):
    """Squared distance of matched hidden states, the student's through a learned projection.

    ``sum_m MSE(H_m W, H_g(m))`` over the layers, token embeddings (layer 0) included
    (TinyBERT). It needs towers that see the same tokens or patches.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"teacher", "hidden states"})

    layers: LayerMap = "uniform"
    """Which teacher layer each student layer follows: spread evenly, the first or the last
    ones, or a list with one number, counted from 1, for each student layer."""
    attention: bool = False
    """Also the attention maps, which needs equal head counts and slows attention down."""

    def __call__(self, step: Step) -> Tensor:
        return torch.stack(
            [hidden_regression(side.hidden) for side in step.sides if side.hidden]
        ).mean()


def hidden_regression(hidden: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Mean squared error of each pair ``(n, length, width)``, summed over the layers."""
    return torch.stack([(own - wanted).square().mean() for own, wanted in hidden]).sum()

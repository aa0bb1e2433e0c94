"""Averages over the sides of a step that learn."""

from collections.abc import Callable

import torch
from torch import Tensor

from retrieval.compress.losses.step import Step, Taught


def mean_over_taught(step: Step, loss: Callable[[Tensor, Taught], Tensor]) -> Tensor:
    """Mean of ``loss(student in the teacher's space, taught)`` over the sides that learn."""
    values = []
    for side in step.sides:
        assert side.taught is not None
        assert side.taught.student is not None
        values.append(loss(side.taught.student, side.taught))
    return torch.stack(values).mean()

"""The hard-concrete distribution: random gates that are exactly 0 or 1 with some chance."""

import math

import torch
from torch import Tensor

LOW, HIGH = -0.1, 1.1
"""Where the concrete distribution on 0..1 is stretched to before it is cut to 0..1 again."""

TEMPERATURE = 2 / 3

_POINTS = 64


def sample(log_alpha: Tensor, uniform: Tensor) -> Tensor:
    """A gate for each unit (Louizos et al., ICLR 2018).

    Args:
        log_alpha: Location of each gate, ``(units,)``.
        uniform: Random numbers between 0 and 1, both excluded, ``(units,)``.

    Returns:
        Between 0 and 1, both included, ``(units,)``; differentiable by ``log_alpha``.
    """
    concrete = torch.sigmoid((uniform.logit() + log_alpha) / TEMPERATURE)
    return (concrete * (HIGH - LOW) + LOW).clamp(0, 1)


def open_chance(log_alpha: Tensor) -> Tensor:
    """Chance that a gate is not zero, ``(units,)``."""
    return torch.sigmoid(log_alpha - TEMPERATURE * math.log(-LOW / HIGH))


def expected(log_alpha: Tensor) -> Tensor:
    """Mean of a gate, ``(units,)``: strictly between 0 and 1 and growing with ``log_alpha``.

    The integral over 0..1 of the chance that the gate exceeds a number, by the midpoint rule.
    """
    points = (torch.arange(_POINTS, dtype=torch.float64, device=log_alpha.device) + 0.5) / _POINTS
    thresholds = TEMPERATURE * ((points - LOW) / (HIGH - points)).log()
    exceeds = torch.sigmoid(log_alpha.double()[:, None] - thresholds)
    return exceeds.mean(dim=1).to(log_alpha.dtype)

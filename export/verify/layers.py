"""Intermediate results of two graphs side by side, and where they begin to differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

JUMP = 3.0
"""How many times as large an error must be as that of the layers before it."""
SHARE = 0.1
"""Part of the largest error; a jump that stays below it is not what makes a file fail."""


@dataclass(frozen=True)
class Layer:
    """An intermediate result that an fp32 graph and another have in common.

    Attributes:
        name: What to tell a person.
        before: Indices of the layers that its inputs come from.
        expected: In float32.
        found: In the other graph.
    """

    name: str
    before: tuple[int, ...]
    expected: NDArray[Any]
    found: NDArray[Any]

    @property
    def error(self) -> float:
        """Length of the difference by length of what was expected; infinite if not finite."""
        one, other = self.expected.astype(np.float64), self.found.astype(np.float64)
        if not np.isfinite(other).all():
            return float("inf")
        length = float(np.linalg.norm(one))
        return float(np.linalg.norm(one - other)) / length if length else 0.0


def first_jump(layers: Sequence[Layer]) -> str:
    """The first layer whose error jumps above that of the layers before it, in one line.

    Args:
        layers: In the order in which they run.
    """
    if not layers:
        return "not located: the two graphs have no intermediate results in common"
    errors = [layer.error for layer in layers]
    largest = max(errors)
    if not largest:
        return "not located: all intermediate results are equal"
    finite = [error for error in errors if np.isfinite(error)]
    least = SHARE * max(finite, default=0.0)
    for layer, error in zip(layers, errors, strict=True):
        inherited = max((errors[index] for index in layer.before), default=0.0)
        if np.isfinite(inherited) and error > max(JUMP * inherited, least):
            return f"{layer.name}: relative error {error:.2g}, before it {inherited:.2g}"
    return f"no single layer: the error grows little by little to {largest:.2g}"

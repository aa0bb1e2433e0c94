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
CANCELLED = 0.1
"""Part of a layer's inputs below which its output is taken for a difference of equals."""


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


def errors_of(layers: Sequence[Layer]) -> list[float]:
    """Root mean square of each difference, by that of what was expected; infinite if not finite.

    What a layer makes of much larger inputs, such as a mean near zero, is compared with a
    part of those: all of its own digits may be rounding.
    """
    sizes = [_size(layer.expected) for layer in layers]
    errors = []
    for layer, size in zip(layers, sizes, strict=True):
        given = max((sizes[index] for index in layer.before), default=0.0)
        scale = max(size, CANCELLED * given)
        if not np.isfinite(layer.found).all():
            errors.append(float("inf"))
        else:
            difference = _size(layer.expected.astype(np.float64) - layer.found)
            errors.append(difference / scale if scale else difference)
    return errors


def first_jump(layers: Sequence[Layer]) -> str:
    """The first layer whose error jumps above that of the layers before it, in one line.

    Args:
        layers: In the order in which they run.
    """
    if not layers:
        return "not located: the two graphs have no intermediate results in common"
    errors = errors_of(layers)
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


def _size(values: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) if values.size else 0.0

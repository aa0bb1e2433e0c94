"""The operations of Core ML's ML programs that our towers use, in numpy.

Written from the specification (``coremltools.converters.mil.mil.ops.defs``) and slow on
purpose: each is as short as its definition. Values are computed in float32; the caller rounds
a result to the type that the program states.

Here are those that work element by element or along an axis; `ml_shapes` and `ml_products` add
theirs to the same table.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = Any
Operation = Callable[..., Any]

OPERATIONS: dict[str, Operation] = {}
"""By the name in a program; inputs are passed by their names there."""


def operation(function: Operation) -> Operation:
    """Add a function to the table under its own name."""
    OPERATIONS[function.__name__] = function
    return function


# Element by element.


def _binary(name: str, function: Operation) -> None:
    OPERATIONS[name] = lambda *, x, y: function(x, y)


def _unary(name: str, function: Operation) -> None:
    OPERATIONS[name] = lambda *, x: function(x)


_binary("add", np.add)
_binary("sub", np.subtract)
_binary("mul", np.multiply)
_binary("real_div", np.divide)
_binary("floor_div", np.floor_divide)
_binary("pow", np.power)
_binary("maximum", np.maximum)
_binary("minimum", np.minimum)
_binary("equal", np.equal)
_binary("not_equal", np.not_equal)
_binary("greater", np.greater)
_binary("greater_equal", np.greater_equal)
_binary("less", np.less)
_binary("less_equal", np.less_equal)
_unary("abs", np.abs)
_unary("sqrt", np.sqrt)
_unary("square", np.square)
_unary("exp", np.exp)
_unary("erf", np.vectorize(math.erf, otypes=[np.float32]))
_unary("tanh", np.tanh)
_unary("relu", lambda x: np.maximum(x, 0))
_unary("relu6", lambda x: np.clip(x, 0, 6))
_unary("sigmoid", lambda x: 1 / (1 + np.exp(-x)))
_unary("silu", lambda x: x / (1 + np.exp(-x)))


@operation
def rsqrt(*, x: Array, epsilon: float = 1e-12) -> Array:
    return 1 / np.sqrt(x + epsilon)


@operation
def inverse(*, x: Array, epsilon: float = 1e-4) -> Array:
    return 1 / (x + epsilon)


@operation
def clip(*, x: Array, alpha: float, beta: float) -> Array:
    return np.clip(x, alpha, beta)


@operation
def sigmoid_hard(*, x: Array, alpha: float = 0.2, beta: float = 0.5) -> Array:
    return np.clip(alpha * x + beta, 0, 1)


@operation
def thresholded_relu(*, x: Array, alpha: float = 1.0) -> Array:
    return np.where(x >= alpha, x, 0)


@operation
def leaky_relu(*, x: Array, alpha: float = 0.01) -> Array:
    return np.where(x >= 0, x, alpha * x)


@operation
def gelu(*, x: Array, mode: str = "EXACT") -> Array:
    if mode == "EXACT":
        return x * 0.5 * (1 + OPERATIONS["erf"](x=x / math.sqrt(2)))
    if mode == "TANH_APPROXIMATION":
        return x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x / (1 + np.exp(-1.702 * x))


@operation
def select(*, cond: Array, a: Array, b: Array) -> Array:
    return np.where(cond, a, b)


@operation
def cast(*, x: Array, dtype: str) -> Array:
    return x  # The caller gives the result the type that the program states.


@operation
def identity(*, x: Array) -> Array:
    return x


# Sums.


def _reduction(name: str, function: Operation) -> None:
    def reduce(*, x: Array, axes: Sequence[int] | None = None, keep_dims: bool = False) -> Array:
        return function(x, axis=None if axes is None else tuple(axes), keepdims=bool(keep_dims))

    OPERATIONS[name] = reduce


def _length(x: Array, **options: Any) -> Array:
    return np.sqrt(np.square(x).sum(**options))


_reduction("reduce_sum", np.sum)
_reduction("reduce_mean", np.mean)
_reduction("reduce_max", np.max)
_reduction("reduce_min", np.min)
_reduction("reduce_l2_norm", _length)


@operation
def cumsum(*, x: Array, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Array:
    assert not exclusive
    assert not reverse
    return np.cumsum(x, axis)


@operation
def softmax(*, x: Array, axis: int = -1) -> Array:
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


@operation
def layer_norm(
    *,
    x: Array,
    axes: Sequence[int],
    gamma: Array = 1.0,
    beta: Array = 0.0,
    epsilon: float = 1e-5,
) -> Array:
    mean, variance = (f(x, axis=tuple(axes), keepdims=True) for f in (np.mean, np.var))
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


@operation
def batch_norm(
    *,
    x: Array,
    mean: Array,
    variance: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    epsilon: float = 1e-5,
) -> Array:
    def column(values: Array) -> Array:
        return np.reshape(values, (1, -1) + (1,) * (x.ndim - 2))

    found = (x - column(mean)) / np.sqrt(column(variance) + epsilon)
    found = found if gamma is None else found * column(gamma)
    return found if beta is None else found + column(beta)

"""The operations of Core ML's ML programs that our towers use, in numpy.

Written from the specification (``coremltools.converters.mil.mil.ops.defs``) and slow on
purpose: each is as short as its definition. Values are computed in float32; the caller rounds
a result to the type that the program states.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = Any
Operation = Callable[..., Any]

OPERATIONS: dict[str, Operation] = {}
"""By the name in a program; inputs are passed by their names there."""


def _operation(function: Operation) -> Operation:
    OPERATIONS[function.__name__.rstrip("_")] = function
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


@_operation
def rsqrt(*, x: Array, epsilon: float = 1e-12) -> Array:
    return 1 / np.sqrt(x + epsilon)


@_operation
def inverse(*, x: Array, epsilon: float = 1e-4) -> Array:
    return 1 / (x + epsilon)


@_operation
def clip(*, x: Array, alpha: float, beta: float) -> Array:
    return np.clip(x, alpha, beta)


@_operation
def sigmoid_hard(*, x: Array, alpha: float = 0.2, beta: float = 0.5) -> Array:
    return np.clip(alpha * x + beta, 0, 1)


@_operation
def thresholded_relu(*, x: Array, alpha: float = 1.0) -> Array:
    return np.where(x >= alpha, x, 0)


@_operation
def leaky_relu(*, x: Array, alpha: float = 0.01) -> Array:
    return np.where(x >= 0, x, alpha * x)


@_operation
def gelu(*, x: Array, mode: str = "EXACT") -> Array:
    if mode == "EXACT":
        return x * 0.5 * (1 + OPERATIONS["erf"](x=x / math.sqrt(2)))
    if mode == "TANH_APPROXIMATION":
        return x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x / (1 + np.exp(-1.702 * x))


@_operation
def select(*, cond: Array, a: Array, b: Array) -> Array:
    return np.where(cond, a, b)


@_operation
def cast(*, x: Array, dtype: str) -> Array:
    return x  # The caller gives the result the type that the program states.


@_operation
def identity(*, x: Array) -> Array:
    return x


# Shapes.


@_operation
def reshape(*, x: Array, shape: Sequence[int]) -> Array:
    # A zero keeps the size of its dimension.
    return x.reshape([x.shape[i] if size == 0 else size for i, size in enumerate(shape)])


@_operation
def transpose(*, x: Array, perm: Sequence[int]) -> Array:
    return x.transpose(perm)


@_operation
def expand_dims(*, x: Array, axes: Sequence[int]) -> Array:
    return np.expand_dims(x, tuple(axes))


@_operation
def squeeze(*, x: Array, axes: Sequence[int]) -> Array:
    return np.squeeze(x, tuple(axes))


@_operation
def concat(*, values: Sequence[Array], axis: int, interleave: bool = False) -> Array:
    assert not interleave
    return np.concatenate(values, axis)


@_operation
def stack(*, values: Sequence[Array], axis: int) -> Array:
    return np.stack(values, axis)


@_operation
def split(
    *,
    x: Array,
    axis: int,
    num_splits: int | None = None,
    split_sizes: Sequence[int] | None = None,
) -> list[Array]:
    if split_sizes is None:
        return np.split(x, int(num_splits or 1), axis)
    return np.split(x, np.cumsum(split_sizes)[:-1], axis)


@_operation
def tile(*, x: Array, reps: Sequence[int]) -> Array:
    return np.tile(x, reps)


@_operation
def pad(*, x: Array, pad: Sequence[int], mode: str = "constant", constant_val: float = 0) -> Array:
    pairs = np.reshape(pad, (-1, 2)).tolist()
    width = [(0, 0)] * (x.ndim - len(pairs)) + pairs
    if mode == "constant":
        return np.pad(x, width, constant_values=constant_val)
    return np.pad(x, width, mode={"reflect": "reflect", "replicate": "edge"}[mode])


@_operation
def slice_by_index(
    *,
    x: Array,
    begin: Sequence[int],
    end: Sequence[int],
    stride: Sequence[int] | None = None,
    begin_mask: Sequence[bool] | None = None,
    end_mask: Sequence[bool] | None = None,
    squeeze_mask: Sequence[bool] | None = None,
) -> Array:
    def masked(mask: Sequence[bool] | None, axis: int) -> bool:
        return mask is not None and bool(mask[axis])

    places: list[Any] = []
    for axis in range(x.ndim):
        if masked(squeeze_mask, axis):
            places.append(int(begin[axis]))
            continue
        first = None if masked(begin_mask, axis) else int(begin[axis])
        last = None if masked(end_mask, axis) else int(end[axis])
        places.append(slice(first, last, None if stride is None else int(stride[axis])))
    return x[tuple(places)]


@_operation
def slice_by_size(*, x: Array, begin: Sequence[int], size: Sequence[int]) -> Array:
    # A size of -1 takes all that is left.
    places = [slice(b, None if s == -1 else b + s) for b, s in zip(begin, size, strict=True)]
    return x[tuple(places)]


@_operation
def gather(
    *,
    x: Array,
    indices: Array,
    axis: int = 0,
    batch_dims: int = 0,
    validate_indices: bool = False,
) -> Array:
    assert batch_dims == 0
    return np.take(x, indices, axis)


@_operation
def upsample_nearest_neighbor(
    *, x: Array, scale_factor_height: float = 1, scale_factor_width: float = 1
) -> Array:
    return x.repeat(int(scale_factor_height), -2).repeat(int(scale_factor_width), -1)


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


@_operation
def cumsum(*, x: Array, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Array:
    assert not exclusive
    assert not reverse
    return np.cumsum(x, axis)


@_operation
def softmax(*, x: Array, axis: int = -1) -> Array:
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


@_operation
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


@_operation
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


# Products.


@_operation
def linear(*, x: Array, weight: Array, bias: Array = 0.0) -> Array:
    return x @ weight.T + bias


@_operation
def matmul(*, x: Array, y: Array, transpose_x: bool = False, transpose_y: bool = False) -> Array:
    x = x.swapaxes(-1, -2) if transpose_x else x
    return x @ (y.swapaxes(-1, -2) if transpose_y else y)


@_operation
def einsum(*, values: Sequence[Array], equation: str) -> Array:
    return np.einsum(equation, *values)


@_operation
def conv(
    *,
    x: Array,
    weight: Array,
    bias: Array | None = None,
    strides: Sequence[int] = (1, 1),
    pad_type: str = "valid",
    pad: Sequence[int] = (0, 0, 0, 0),
    dilations: Sequence[int] = (1, 1),
    groups: int = 1,
) -> Array:
    span = [(kernel - 1) * d + 1 for kernel, d in zip(weight.shape[2:], dilations, strict=True)]
    x = np.pad(x, [(0, 0), (0, 0), *_padding(pad_type, pad, x.shape[2:], span, strides)])
    windows = _windows(x, span, strides)[..., :: dilations[0], :: dilations[1]]
    batch, _, height, width, *kernel = windows.shape
    windows = windows.reshape(batch, groups, -1, height, width, *kernel)
    weight = weight.reshape(groups, -1, *weight.shape[1:])
    found = np.einsum("bgihwkl,goikl->bgohw", windows, weight, optimize=True)
    found = found.reshape(batch, -1, height, width)
    return found if bias is None else found + bias[:, None, None]


@_operation
def avg_pool(
    *,
    x: Array,
    kernel_sizes: Sequence[int],
    strides: Sequence[int],
    pad_type: str,
    pad: Sequence[int] = (0, 0, 0, 0),
    exclude_padding_from_average: bool = False,
    ceil_mode: bool = False,
) -> Array:
    assert not ceil_mode
    around = _padding(pad_type, pad, x.shape[2:], kernel_sizes, strides)
    sums = _windows(np.pad(x, [(0, 0), (0, 0), *around]), kernel_sizes, strides).sum((-2, -1))
    if not exclude_padding_from_average:
        return sums / math.prod(kernel_sizes)
    ones = np.pad(np.ones(x.shape[2:], np.float32), around)[None, None]
    return sums / _windows(ones, kernel_sizes, strides).sum((-2, -1))


@_operation
def max_pool(
    *,
    x: Array,
    kernel_sizes: Sequence[int],
    strides: Sequence[int],
    pad_type: str,
    pad: Sequence[int] = (0, 0, 0, 0),
    ceil_mode: bool = False,
) -> Array:
    assert not ceil_mode
    around = _padding(pad_type, pad, x.shape[2:], kernel_sizes, strides)
    x = np.pad(x, [(0, 0), (0, 0), *around], constant_values=-np.inf)
    return _windows(x, kernel_sizes, strides).max((-2, -1))


def _windows(x: Array, span: Sequence[int], strides: Sequence[int]) -> Array:
    """``(batch, channels, height, width, *span)``: what a kernel sees at each place."""
    found = np.lib.stride_tricks.sliding_window_view(x, tuple(span), axis=(2, 3))
    return found[:, :, :: strides[0], :: strides[1]]


def _padding(
    kind: str,
    given: Sequence[int],
    sides: Sequence[int],
    span: Sequence[int],
    strides: Sequence[int],
) -> list[tuple[int, int]]:
    if kind == "valid":
        return [(0, 0), (0, 0)]
    if kind == "custom":
        top, bottom, left, right = given
        return [(top, bottom), (left, right)]
    pairs = []
    for side, kernel, stride in zip(sides, span, strides, strict=True):
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        less, more = total // 2, total - total // 2
        pairs.append((less, more) if kind == "same" else (more, less))
    return pairs


# Compressed weights.


@_operation
def constexpr_affine_dequantize(
    *, quantized_data: Array, zero_point: Array, scale: Array, axis: int
) -> Array:
    shape = [1] * quantized_data.ndim
    shape[axis] = -1
    zero, scale = (np.broadcast_to(one, quantized_data.shape[axis]) for one in (zero_point, scale))
    whole = quantized_data.astype(np.float32) - zero.astype(np.float32).reshape(shape)
    return whole * scale.reshape(shape)


@_operation
def constexpr_lut_to_dense(*, indices: Array, lut: Array, shape: Sequence[int]) -> Array:
    bits = int(math.log2(lut.shape[0]))
    # Places in the table lie one after the other, the lowest bit first.
    stream = np.unpackbits(indices, bitorder="little")[: math.prod(shape) * bits]
    places = stream.reshape(-1, bits) @ (1 << np.arange(bits))
    return lut[places].reshape(shape)

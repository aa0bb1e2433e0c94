"""Operations of ML programs that multiply or pool, and that decompress weights."""

import math
from collections.abc import Sequence

import numpy as np

from tests.export.coreml.ml_operations import Array, operation


@operation
def linear(*, x: Array, weight: Array, bias: Array = 0.0) -> Array:
    return x @ weight.T + bias


@operation
def matmul(*, x: Array, y: Array, transpose_x: bool = False, transpose_y: bool = False) -> Array:
    x = x.swapaxes(-1, -2) if transpose_x else x
    return x @ (y.swapaxes(-1, -2) if transpose_y else y)


@operation
def einsum(*, values: Sequence[Array], equation: str) -> Array:
    return np.einsum(equation, *values)


@operation
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


@operation
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
    around = _padding(pad_type, pad, x.shape[2:], kernel_sizes, strides)
    _check_whole_windows(x.shape[2:], around, kernel_sizes, strides, ceil_mode)
    sums = _windows(np.pad(x, [(0, 0), (0, 0), *around]), kernel_sizes, strides).sum((-2, -1))
    if not exclude_padding_from_average:
        return sums / math.prod(kernel_sizes)
    ones = np.pad(np.ones(x.shape[2:], np.float32), around)[None, None]
    return sums / _windows(ones, kernel_sizes, strides).sum((-2, -1))


@operation
def max_pool(
    *,
    x: Array,
    kernel_sizes: Sequence[int],
    strides: Sequence[int],
    pad_type: str,
    pad: Sequence[int] = (0, 0, 0, 0),
    ceil_mode: bool = False,
) -> Array:
    around = _padding(pad_type, pad, x.shape[2:], kernel_sizes, strides)
    _check_whole_windows(x.shape[2:], around, kernel_sizes, strides, ceil_mode)
    x = np.pad(x, [(0, 0), (0, 0), *around], constant_values=-np.inf)
    return _windows(x, kernel_sizes, strides).max((-2, -1))


def _check_whole_windows(
    sides: Sequence[int],
    around: Sequence[tuple[int, int]],
    kernel_sizes: Sequence[int],
    strides: Sequence[int],
    ceil_mode: bool,
) -> None:
    for side, padding, kernel, stride in zip(sides, around, kernel_sizes, strides, strict=True):
        if ceil_mode and (side + sum(padding) - kernel) % stride:
            raise NotImplementedError("pools whose last window is cut off")


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


@operation
def constexpr_affine_dequantize(
    *, quantized_data: Array, zero_point: Array, scale: Array, axis: int
) -> Array:
    shape = [1] * quantized_data.ndim
    shape[axis] = -1
    zero, scale = (np.broadcast_to(one, quantized_data.shape[axis]) for one in (zero_point, scale))
    whole = quantized_data.astype(np.float32) - zero.astype(np.float32).reshape(shape)
    return whole * scale.reshape(shape)


@operation
def constexpr_lut_to_dense(*, indices: Array, lut: Array, shape: Sequence[int]) -> Array:
    bits = int(math.log2(lut.shape[0]))
    # Places in the table lie one after the other, the lowest bit first.
    stream = np.unpackbits(indices, bitorder="little")[: math.prod(shape) * bits]
    places = stream.reshape(-1, bits) @ (1 << np.arange(bits))
    return lut[places].reshape(shape)

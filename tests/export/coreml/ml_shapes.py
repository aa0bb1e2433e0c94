"""Operations of ML programs that move values around; see `ml_operations`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.export.coreml.ml_operations import Array, operation


@operation
def reshape(*, x: Array, shape: Sequence[int]) -> Array:
    # A zero keeps the size of its dimension.
    return x.reshape([x.shape[i] if size == 0 else size for i, size in enumerate(shape)])


@operation
def transpose(*, x: Array, perm: Sequence[int]) -> Array:
    return x.transpose(perm)


@operation
def expand_dims(*, x: Array, axes: Sequence[int]) -> Array:
    return np.expand_dims(x, tuple(axes))


@operation
def squeeze(*, x: Array, axes: Sequence[int]) -> Array:
    return np.squeeze(x, tuple(axes))


@operation
def concat(*, values: Sequence[Array], axis: int, interleave: bool = False) -> Array:
    assert not interleave
    return np.concatenate(values, axis)


@operation
def stack(*, values: Sequence[Array], axis: int) -> Array:
    return np.stack(values, axis)


@operation
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


@operation
def tile(*, x: Array, reps: Sequence[int]) -> Array:
    return np.tile(x, reps)


@operation
def pad(*, x: Array, pad: Sequence[int], mode: str = "constant", constant_val: float = 0) -> Array:
    pairs = np.reshape(pad, (-1, 2)).tolist()
    width = [(0, 0)] * (x.ndim - len(pairs)) + pairs
    if mode == "constant":
        return np.pad(x, width, constant_values=constant_val)
    return np.pad(x, width, mode={"reflect": "reflect", "replicate": "edge"}[mode])


@operation
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


@operation
def slice_by_size(*, x: Array, begin: Sequence[int], size: Sequence[int]) -> Array:
    # A size of -1 takes all that is left.
    places = [slice(b, None if s == -1 else b + s) for b, s in zip(begin, size, strict=True)]
    return x[tuple(places)]


@operation
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


@operation
def upsample_nearest_neighbor(
    *, x: Array, scale_factor_height: float = 1, scale_factor_width: float = 1
) -> Array:
    return x.repeat(int(scale_factor_height), -2).repeat(int(scale_factor_width), -1)

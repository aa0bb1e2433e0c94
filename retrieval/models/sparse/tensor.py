"""One tensor in the smallest form that a storage allows, and back."""

import math
from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from retrieval.models.sparse.bitmap import bitmap_bytes, pack_bitmap, unpack_bitmap
from retrieval.models.sparse.csr import csr_bytes, pack_csr, unpack_csr
from retrieval.models.sparse.int8 import dequantise_rows, quantise_rows
from retrieval.models.sparse.parts import Parts, part
from retrieval.models.sparse.storage import Storage
from retrieval.spec.base import Spec
from retrieval.spec.errors import CheckpointError

PackedLayout = Literal["plain", "dense", "bitmap", "csr"]

# About what the name, type, shape and place of one part take in the header of a file.
_HEADER_BYTES = 128
_PARTS: dict[PackedLayout, set[str]] = {
    "dense": {"values"},
    "bitmap": {"bitmap", "values"},
    "csr": {"row_start", "columns", "values"},
}

_Count = Annotated[int, Field(ge=0)]


class PackedTensor(Spec):
    """What a packed file says of one tensor beside its parts."""

    shape: tuple[_Count, ...]
    layout: PackedLayout
    """``plain`` is the tensor itself, as the only part; ``dense`` is int8 with scales."""
    nonzeros: _Count


def pack_tensor(array: np.ndarray, storage: Storage) -> tuple[PackedTensor, Parts]:
    """Choose the smallest form and pack.

    Args:
        array: Any shape. Floating-point numbers already have the type that ``storage`` says,
            or float32 for int8.
        storage: Allows plain, for int8 also the codes dense, and its sparse layout.

    Returns:
        The entry, and the parts by name; the part of a plain tensor has the name ``""``.
    """
    nonzeros = int(np.count_nonzero(array))
    plain = PackedTensor(shape=array.shape, layout="plain", nonzeros=nonzeros), {"": array}
    if storage.is_plain or array.size == 0 or not np.issubdtype(array.dtype, np.floating):
        return plain
    matrix = array.reshape(_matrix_shape(array.shape))
    scale: Parts = {}
    if storage.values == "int8" and array.ndim > 1:
        matrix, scale["scale"] = quantise_rows(matrix)
        nonzeros = int(np.count_nonzero(matrix))
    sizes: dict[PackedLayout, int] = {"plain": array.nbytes + _HEADER_BYTES}
    sizes |= _sizes(matrix, nonzeros, scale, storage)
    layout = min(sizes, key=lambda one: sizes[one])
    if layout == "plain":
        return plain
    packers = {"dense": _pack_dense, "bitmap": pack_bitmap, "csr": pack_csr}
    entry = PackedTensor(shape=array.shape, layout=layout, nonzeros=nonzeros)
    return entry, packers[layout](matrix) | scale


def unpack_tensor(entry: PackedTensor, parts: Mapping[str, np.ndarray]) -> np.ndarray:
    """Inverse of `pack_tensor`; codes come back as float32.

    Raises:
        CheckpointError: Parts are missing, not needed, damaged or do not fit the entry.
    """
    rows, columns = _matrix_shape(entry.shape)
    unpackers = {"dense": _unpack_dense, "bitmap": unpack_bitmap, "csr": unpack_csr}
    try:
        matrix = unpackers[entry.layout](parts, rows, columns)
    except (MemoryError, ValueError, OverflowError) as error:
        raise CheckpointError(f"a shape of {entry.shape} is impossible") from error
    if (counted := np.count_nonzero(parts["values"])) != entry.nonzeros:
        raise CheckpointError(f"it has {counted} values that are not zero, not {entry.nonzeros}")
    is_coded = matrix.dtype == np.int8
    if unneeded := parts.keys() - _PARTS[entry.layout] - ({"scale"} if is_coded else set()):
        raise CheckpointError(f"it has an unneeded {min(unneeded)}")
    if is_coded:
        scale = part(parts, "scale", "float32")
        if len(scale) != rows or not np.isfinite(scale).all():
            raise CheckpointError(f"it has {len(scale)} scales for {rows} rows, or not finite ones")
        matrix = dequantise_rows(matrix, scale)
    return matrix.reshape(entry.shape)


def _sizes(
    matrix: np.ndarray, nonzeros: int, scale: Parts, storage: Storage
) -> dict[PackedLayout, int]:
    """Bytes of each form that the storage allows, but plain, with what it takes in the header."""
    measured = (*matrix.shape, nonzeros, matrix.itemsize)
    sizes: dict[PackedLayout, int] = {}
    if scale:
        sizes["dense"] = matrix.nbytes
    if storage.layout in ("bitmap", "smallest"):
        sizes["bitmap"] = bitmap_bytes(*measured)
    if storage.layout in ("csr", "smallest"):
        sizes["csr"] = csr_bytes(*measured)
    of_scales = sum(array.nbytes + _HEADER_BYTES for array in scale.values())
    for layout in sizes:
        sizes[layout] += len(_PARTS[layout]) * _HEADER_BYTES + of_scales
    return sizes


def _matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    rows = shape[0] if len(shape) > 1 else 1
    return rows, math.prod(shape) // max(1, rows)


def _pack_dense(codes: np.ndarray) -> Parts:
    return {"values": codes.ravel()}


def _unpack_dense(parts: Mapping[str, np.ndarray], rows: int, columns: int) -> np.ndarray:
    codes = part(parts, "values", "int8")
    if len(codes) != rows * columns:
        raise CheckpointError(f"it has {len(codes)} values, not {rows * columns}")
    return codes.reshape(rows, columns)

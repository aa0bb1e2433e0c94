"""One bit for each weight, then the weights that are not zero."""

from collections.abc import Mapping

import numpy as np

from retrieval.models.sparse.parts import Parts, part
from retrieval.spec.errors import CheckpointError


def pack_bitmap(matrix: np.ndarray) -> Parts:
    """Split a matrix into a bitmap and values.

    Args:
        matrix: ``(rows, columns)``, any numeric type.

    Returns:
        ``bitmap``, ``(ceil(rows * columns / 8),)`` uint8: bit ``i % 8`` of byte ``i // 8`` says
        whether weight ``i``, counted row by row, is stored; ``values``, ``(nonzeros,)``, in
        that order.
    """
    present = matrix != 0
    return {"bitmap": np.packbits(present, bitorder="little"), "values": matrix[present]}


def unpack_bitmap(parts: Mapping[str, np.ndarray], rows: int, columns: int) -> np.ndarray:
    """Inverse of `pack_bitmap`: ``(rows, columns)``.

    Raises:
        CheckpointError: Parts are missing, of another length or do not fit each other.
    """
    bitmap = part(parts, "bitmap", "uint8")
    values = part(parts, "values", "float32", "float16", "int8")
    size = rows * columns
    if len(bitmap) != -(-size // 8):
        raise CheckpointError(f"its bitmap has {len(bitmap)} bytes, not {-(-size // 8)}")
    bits = np.unpackbits(bitmap, bitorder="little")
    present = bits[:size].view(bool)
    if bits[size:].any():
        raise CheckpointError("its bitmap goes on behind the last weight")
    if (counted := np.count_nonzero(present)) != len(values):
        raise CheckpointError(f"its bitmap counts {counted} values, not {len(values)}")
    flat = np.zeros(size, values.dtype)
    flat[present] = values
    return flat.reshape(rows, columns)


def bitmap_bytes(rows: int, columns: int, nonzeros: int, value_bytes: int) -> int:
    """Bytes that `pack_bitmap` gives: a bit for each weight, ``value_bytes`` for each value."""
    return -(-rows * columns // 8) + nonzeros * value_bytes

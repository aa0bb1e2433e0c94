"""Compressed sparse rows: the column of each weight that is not zero, row by row."""

from collections.abc import Mapping

import numpy as np

from retrieval.models.sparse.parts import Parts, part
from retrieval.spec.errors import CheckpointError


def pack_csr(matrix: np.ndarray) -> Parts:
    """Split a matrix into row starts, columns and values.

    Args:
        matrix: ``(rows, columns)``, any numeric type.

    Returns:
        ``row_start``, ``(rows + 1,)``: where each row's values begin, and where the last ends;
        ``columns``, ``(nonzeros,)``, ascending in each row; ``values``, ``(nonzeros,)``.
        Columns are int16 where numbers of that type suffice, otherwise int32; row starts are
        int32, or int64 when there are more values than that counts.
    """
    present = matrix != 0
    starts = np.concatenate([[0], np.cumsum(present.sum(axis=1))])
    return {
        "row_start": starts.astype(_start_type(int(starts[-1]))),
        "columns": np.nonzero(present)[1].astype(_column_type(matrix.shape[1])),
        "values": matrix[present],
    }


def unpack_csr(parts: Mapping[str, np.ndarray], rows: int, columns: int) -> np.ndarray:
    """Inverse of `pack_csr`: ``(rows, columns)``.

    Any of the index types that `pack_csr` writes is read, whether or not a smaller one would do.

    Raises:
        CheckpointError: Parts are missing, of another length or do not fit each other.
    """
    values = part(parts, "values", "float32", "float16", "int8")
    column = part(parts, "columns", "int16", "int32").astype(np.int64)
    starts = part(parts, "row_start", "int32", "int64").astype(np.int64)
    counts = np.diff(starts)
    if len(starts) != rows + 1:
        raise CheckpointError(f"it has {len(starts)} row starts, not {rows + 1}")
    if starts[0] != 0 or starts[-1] != len(values) or (counts < 0).any():
        raise CheckpointError(f"its row starts do not divide {len(values)} values")
    if len(column) != len(values):
        raise CheckpointError(f"it has {len(column)} columns, not {len(values)}")
    if len(column) and not (column.min() >= 0 and column.max() < columns):
        raise CheckpointError(f"it has a column outside 0 to {columns - 1}")
    place = np.repeat(np.arange(rows) * columns, counts) + column
    if (np.diff(place) <= 0).any():
        raise CheckpointError("its columns do not ascend in each row")
    flat = np.zeros(rows * columns, values.dtype)
    flat[place] = values
    return flat.reshape(rows, columns)


def csr_bytes(
    rows: int, columns: int, nonzeros: int, value_bytes: int, *, column_bytes: int | None = None
) -> int:
    """Bytes that `pack_csr` gives: value and column for each non-zero, a start for each row.

    Args:
        rows: Of the matrix.
        columns: Of the matrix.
        nonzeros: In the matrix.
        value_bytes: Of one value.
        column_bytes: Of one column number; by default what `pack_csr` chooses.
    """
    if column_bytes is None:
        column_bytes = np.dtype(_column_type(columns)).itemsize
    start_bytes = np.dtype(_start_type(nonzeros)).itemsize
    return nonzeros * (value_bytes + column_bytes) + (rows + 1) * start_bytes


def _column_type(columns: int) -> type[np.signedinteger]:
    return np.int16 if columns - 1 <= np.iinfo(np.int16).max else np.int32


def _start_type(nonzeros: int) -> type[np.signedinteger]:
    return np.int32 if nonzeros <= np.iinfo(np.int32).max else np.int64

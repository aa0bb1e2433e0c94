"""Reads codes and scales back from weights that were trained on a grid."""

import numpy as np
from numpy.typing import NDArray

from retrieval.spec.errors import ExportError
from retrieval.spec.quantisation import LARGEST_CODE, Grid

_TOLERANCE = 0.2
"""Of a code; values that went through float16 are off by as much as 0.13."""


def read_grid(
    name: str, values: NDArray[np.float32], grid: Grid
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Codes ``(rows, columns)`` and scales ``(rows, 1)`` of values that lie on a grid.

    Rows are output channels even where training had one scale for the matrix: batch norm,
    once folded, gives each channel its own.

    Raises:
        ExportError: The values do not lie on the grid.
    """
    rows = values.reshape(-1, grid.group) if grid.group else values.reshape(len(values), -1)
    largest = np.abs(rows).max(axis=1, keepdims=True)
    scales = np.where(largest == 0, 1, largest / LARGEST_CODE[grid.kind]).astype(np.float32)
    exact = rows / scales
    codes = np.round(exact)
    if np.abs(exact - codes).max() > _TOLERANCE:
        raise ExportError(
            f"{name} does not lie on the {grid.kind} grid that config.json promises: it was "
            "changed after it was quantised; quantise it again, or export in fp16"
        )
    return codes.astype(np.int8), scales

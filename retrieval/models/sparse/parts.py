"""The arrays that one packed tensor is stored as, by name."""

from collections.abc import Mapping

import numpy as np

from retrieval.spec.errors import CheckpointError

PART_NAMES = ("bitmap", "values", "row_start", "columns", "scale")

Parts = dict[str, np.ndarray]
"""By name: those that the layout has."""


def part(parts: Mapping[str, np.ndarray], name: str, *types: str) -> np.ndarray:
    """A vector that a layout needs.

    Raises:
        CheckpointError: It is missing, is not a vector or is of none of the types.
    """
    if name not in parts:
        raise CheckpointError(f"it has no {name}")
    array = parts[name]
    if array.ndim != 1 or array.dtype.name not in types:
        raise CheckpointError(
            f"its {name} are {array.dtype.name} {array.shape}, not a vector of {' or '.join(types)}"
        )
    return array

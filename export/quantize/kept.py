"""Which of the grids that training chose a file still holds, told by the file's own values.

A row of an int8 grid has 127 as its largest code, so what chooses a symmetric scale for each
output channel finds the trained one again, and loses nothing. Other grids it does not find.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.quantize.grids import read_grid
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.errors import ExportError
from retrieval.spec.quantisation import LARGEST_CODE, Grid
from retrieval.spec.tower import Tower

TRAINED = "trained_weights"
"""Key in a file's notes."""

Values = NDArray[np.float32]

_HALF = 1.05 * 2.0**-10
"""Of the largest code: how far a weight that went through float16 may be from its code, by its
own rounding and that of the largest weight, from which the scale is told."""


def note_trained(model: DualEncoder, tower: Tower, stored: Iterable[Values]) -> dict[str, Any]:
    """What a file's notes say of trained grids; nothing of a tower that was trained without.

    Args:
        model: Where the tower comes from.
        tower: Which one.
        stored: Every weight of the file, as the numbers that it computes with, in PyTorch's
            order of dimensions; matrices may be transposed.

    Returns:
        Under `TRAINED`, ``weights``, how many were trained on a grid, and ``rounded_again``,
        the names of those that the file does not hold as they were trained.

    Raises:
        ExportError: A weight is not on the grid that the configuration promises.
    """
    quantisation = model.config.quantisation
    if quantisation is None or (quantisation := quantisation.only([tower])) is None:
        return {}
    by_size: dict[int, list[Values]] = defaultdict(list)
    for values in stored:
        by_size[values.size].append(values)
    lost = []
    for name, grid in quantisation.grids.items():
        weight = model.get_parameter(name).detach().numpy()
        codes, _ = read_grid(name, weight, grid)
        found = (
            arranged
            for values in by_size[weight.size]
            for arranged in (values, values.T)
            if arranged.shape == weight.shape
        )
        if not any(_holds(values, codes, grid) for values in found):
            lost.append(name)
    return {TRAINED: {"weights": len(quantisation.grids), "rounded_again": lost}}


def rounding_line(file: str, notes: dict[str, Any]) -> str | None:
    """One line about trained weights that a file does not hold; None if it holds all."""
    lost = notes.get(TRAINED, {}).get("rounded_again")
    if not lost:
        return None
    return (
        f"{file}: {len(lost)} of {notes[TRAINED]['weights']} weights that were trained on a grid "
        f"are rounded again, such as {lost[0]}: its format and precision do not hold their "
        "grid; --to onnx --precision trained does"
    )


def _holds(values: Values, codes: NDArray[np.int8], grid: Grid) -> bool:
    try:
        found, scales = read_grid("", values, grid)
    except ExportError:
        return False
    exact = values.reshape(found.shape) / scales
    if np.abs(exact - found).max() > _HALF * LARGEST_CODE[grid.kind]:
        return False
    # Batch norm, once folded, multiplies whole rows: also by less than zero, or by zero.
    signs = np.sign((found.astype(np.int64) * codes).sum(axis=1, keepdims=True))
    return bool((found == signs * codes).all())

"""Eight bits for each weight and one scale for each output row."""

import numpy as np

_LARGEST = 127
# A scale with 16 significant bits times a code of 7 bits has at most 23, so float32 holds
# every product exactly; then quantising what was loaded gives the same codes and scales.
_DROPPED_BITS = np.uint32(0xFF)


def quantise_rows(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round each row to multiples of its largest magnitude over 127 (symmetric, no offset).

    Args:
        matrix: ``(rows, columns)`` float32, finite.

    Returns:
        Codes ``(rows, columns)`` int8 from -127 to 127, and scales ``(rows,)`` float32, of
        which the last eight bits are zero. A row of zeros, or of numbers so small (below
        1e-36) that float32 cannot divide them, has scale 0.
    """
    scale = np.abs(matrix).max(axis=1, initial=0).astype(np.float32) / np.float32(_LARGEST)
    scale[scale < np.finfo(np.float32).tiny] = 0
    scale = (scale.view(np.uint32) & ~_DROPPED_BITS).view(np.float32)
    divisor = np.where(scale > 0, scale, np.inf).astype(np.float32)
    return np.rint(matrix / divisor[:, None]).astype(np.int8), scale


def dequantise_rows(codes: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Codes ``(rows, columns)`` int8 times scales ``(rows,)``: float32, without rounding."""
    grid: np.ndarray = codes.astype(np.float32) * scale[:, None]
    return grid

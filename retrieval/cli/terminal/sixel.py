"""Pictures as sixels: six rows of pixels in one line of letters, for each colour in turn."""

from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_COLOURS = 64
_BAND = 6
# Letters begin at the question mark; each of their six bits is a pixel, the lowest on top.
_FIRST_LETTER = 63


def as_sixel(picture: Image.Image) -> str:
    """An RGB picture as DEC's sixel sequence, in 64 colours of its own (VT330/340 manual)."""
    small = picture.quantize(_COLOURS)
    palette = np.array(small.getpalette()[: 3 * _COLOURS]).reshape(-1, 3)  # type: ignore[index]
    pixels = np.asarray(small)
    used = np.unique(pixels).tolist()
    parts = [f'\x1bPq"1;1;{picture.width};{picture.height}']
    for colour in used:
        percent = ";".join(str(round(value * 100 / 255)) for value in palette[colour].tolist())
        parts.append(f"#{colour};2;{percent}")
    bands = [_band(pixels[top : top + _BAND]) for top in range(0, len(pixels), _BAND)]
    return "".join(parts) + "-".join(bands) + "\x1b\\"


def _band(rows: NDArray[np.uint8]) -> str:
    weights = 1 << np.arange(len(rows))[:, np.newaxis]
    lines = []
    for colour in np.unique(rows).tolist():
        bits = ((rows == colour) * weights).sum(axis=0)
        lines.append(f"#{colour}{_letters(bits)}")
    # Back to the start of the line for the next colour.
    return "$".join(lines)


def _letters(bits: NDArray[np.int64]) -> str:
    runs = []
    for value, run in groupby(bits.tolist()):
        letter, length = chr(_FIRST_LETTER + value), len(list(run))
        runs.append(f"!{length}{letter}" if length > 3 else letter * length)
    return "".join(runs)

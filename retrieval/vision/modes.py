"""From any of Pillow's modes to plain RGB, 8 bits a channel."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Colour = tuple[int, int, int]


def to_rgb(image: Image.Image, fill: Colour = (0, 0, 0)) -> Image.Image:
    """RGB of the same size; transparent pixels are laid over ``fill``.

    Deep greyscale is scaled to 8 bits, where Pillow's own conversion would cut every value
    above 255 to white.

    Raises:
        ValueError: Pillow cannot convert this mode (LAB is one).
    """
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_eight_bits(np.asarray(image), image.mode))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        canvas = Image.new("RGB", image.size, fill)
        canvas.paste(layer, mask=layer.getchannel("A"))
        return canvas
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(values: NDArray[np.generic], mode: str) -> NDArray[np.uint8]:
    if mode.startswith("I;16"):
        # The high byte, which is also what Pillow keeps of 16-bit colour.
        return (values.astype(np.uint16, copy=False) >> 8).astype(np.uint8)
    numbers = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = _range_of(float(numbers.min()), float(numbers.max()), mode)
    numbers -= low
    numbers *= 255 / (high - low)
    return np.rint(numbers).astype(np.uint8)


def _range_of(low: float, high: float, mode: str) -> tuple[float, float]:
    """The scale that 32-bit samples were meant on; their file does not say."""
    for top in (65535.0,) if mode == "I" else (1.0, 255.0):
        if low >= 0 and high <= top:
            return 0.0, top
    return low, high

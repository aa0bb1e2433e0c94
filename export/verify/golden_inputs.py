"""What every host tests itself with: awkward sentences, photos and a drawn pattern."""

import io
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageDraw

SENTENCES = (
    "a photo of a dog",
    "Two dogs RUNNING in the snow, and a child's red sledge",
    "pavement",  # sent a tokenizer of the field into an endless loop
    "",
    "   a  red \t bicycle \n\n leaning   on a wall  ",
    "fish &amp; chips &lt;on a plate&gt; &amp;amp; peas",
    "café crème brûlée, a façade, e\u0301te\u0301",
    "a dog\u2019s bowl \u2013 \u201cempty\u201d",
    "beach \U0001f3d6\ufe0f, a family \U0001f468\u200d\U0001f469\u200d\U0001f467, snow \u2744",
    "\u5927\u962a\u306e\u591c\u666f",
    "\u041c\u043e\u0441\u043a\u0432\u0430 \u0437\u0438\u043c\u043e\u0439",
    "\u0634\u0627\u0631\u0639 \u0645\u0632\u062f\u062d\u0645",
    "it's 10:45, 3/4 full; price=$19.99 (50% off!!) #sale @home",
    "a market stall with apples, pears, plums and cherries, " * 12,
)

PATTERN = "(7 * row + 13 * column + 83 * channel + row * column // 8) % 256"
"""Pixel values that any host can compute, in RGB, to test a tower without a decoder."""

_TURNED_LEFT = 8
_TURNED_RIGHT = 6


def pattern(size: int) -> NDArray[np.uint8]:
    """The pixels that ``PATTERN`` describes, uint8 RGB ``(3, size, size)``."""
    channel, row, column = np.ogrid[:3, :size, :size]
    values = (7 * row + 13 * column + 83 * channel + row * column // 8) % 256
    return np.asarray(values, np.uint8)


def photos() -> Iterator[tuple[str, bytes]]:
    """Names and JPEG files: wide, tall, and two that only their EXIF data turns upright."""
    yield "wide", landscape(420, 280, seed=1)
    yield "tall", landscape(240, 380, seed=2)
    yield "turned-right", landscape(340, 230, seed=3, orientation=_TURNED_RIGHT)
    yield "turned-left", landscape(250, 330, seed=4, orientation=_TURNED_LEFT)


def landscape(width: int, height: int, *, seed: int, orientation: int = 1) -> bytes:
    """A landscape without symmetry, with fine stripes that show a missing antialias."""
    random = np.random.default_rng(seed)
    image = Image.fromarray(_sky(width, height, random.integers(60, 200, 3)))
    draw = ImageDraw.Draw(image)
    for left in range(0, width // 3, 4):
        draw.line([(left, height // 2), (left, height * 3 // 4)], fill=(250, 240, 200), width=2)
    for _ in range(6):
        x, y = int(random.integers(0, width)), int(random.integers(0, height))
        radius = int(random.integers(width // 20, width // 6))
        colour = tuple(int(c) for c in random.integers(0, 256, 3))
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)
    corner = [(width, 0), (width - width // 3, 0), (width, height // 3)]
    draw.polygon(corner, fill=(220, 30, 30))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=50, optimize=True, exif=exif)
    return stream.getvalue()


def _sky(width: int, height: int, base: NDArray[np.int64]) -> NDArray[np.uint8]:
    row = np.linspace(0, math.pi, height)[:, None, None]
    column = np.linspace(0, 2 * math.pi, width)[None, :, None]
    waves = 50 * np.sin(row) + 25 * np.cos(column + 3 * row)
    return np.asarray(np.clip(base + waves, 0, 255), np.uint8)

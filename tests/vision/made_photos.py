"""Photographs made up by arithmetic: soft gradients, hard edges and noise."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

CORNERS = ((200, 40, 40), (40, 180, 60), (40, 60, 190), (210, 200, 60))
"""Colours of `quarters`: top left, top right, bottom left, bottom right."""


def photo_like(width: int, height: int, *, seed: int = 0) -> Image.Image:
    """A picture with the statistics that a resampler cares about."""
    noise = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = np.sin(x / 17) * np.cos(y / 11) + np.sin((x + 2 * y) / 5)
    edges = ((x // 23 + y // 31) % 2) * 60
    channels = [90 + 30 * waves + edges * share for share in (1.0, 0.6, 0.2)]
    picture = np.stack(channels, -1) + noise.normal(0, 6, (height, width, 3))
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


def quarters(width: int = 64, height: int = 40) -> Image.Image:
    """Four plain corners, so that turns and swapped channels show."""
    image = Image.new("RGB", (width, height))
    for place, colour in enumerate(CORNERS):
        left, top = place % 2 * width // 2, place // 2 * height // 2
        image.paste(colour, (left, top, left + width // 2, top + height // 2))
    return image


def corners_of(image: Image.Image) -> list[tuple[int, ...]]:
    """Colours in the middle of the four corners, in the order of `CORNERS`."""
    width, height = image.size
    points = [
        (width // 4 + width // 2 * (i % 2), height // 4 + height // 2 * (i // 2)) for i in range(4)
    ]
    return [tuple(np.asarray(image)[y, x].tolist()) for x, y in points]


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    """The bytes of a file in one of Pillow's formats."""
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def png(width: int, height: int, depth: int, colour_type: int, rows: bytes) -> bytes:
    """A PNG from its scan lines; Pillow writes no 16-bit colour and no header that lies."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    data = zlib.compress(rows)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)

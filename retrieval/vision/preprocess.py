"""From an upright photo to the pixels that an image tower takes, as its spec says."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.decode import EXTENT, MAX_PIXELS, Box, open_photo
from retrieval.vision.modes import to_rgb
from retrieval.vision.resizing import Resizing, resize

Pixels = NDArray[np.uint8]

# Of a photo more elongated than this, only the middle is resized: a strip of 4,000 x 10
# would otherwise grow to 89,600 x 224 before all but its centre is cut away.
_LONGEST_ASPECT = 8


def load_pixels(
    path: Path,
    spec: Preprocessing,
    *,
    draft: bool = True,
    max_pixels: int = MAX_PIXELS,
    resizing: Resizing | None = None,
) -> Pixels:
    """Decode and preprocess a photo file; uint8 RGB ``(3, size, size)``.

    Args:
        path: The photo.
        spec: What the image tower takes.
        draft: Decode a large JPEG at a fraction of its size (see `open_photo`).
        max_pixels: Largest width times height that is decoded.
        resizing: The filter, where a host has another than the spec names.

    Raises:
        PhotoError: The file is not a photo that can be decoded.
    """
    photo = open_photo(
        path,
        target=spec.size if draft else None,
        exif_orientation=spec.exif_orientation,
        fill=spec.fill,
        max_pixels=max_pixels,
    )
    return preprocess(photo, spec, extent=photo.info[EXTENT], resizing=resizing)


def preprocess(
    image: Image.Image,
    spec: Preprocessing,
    *,
    extent: Box | None = None,
    resizing: Resizing | None = None,
) -> Pixels:
    """Resize, then crop or pad; uint8 RGB ``(3, size, size)``, for every spec.

    Equal to open_clip's evaluation transform before its scaling: sizes and offsets are
    rounded as torchvision does. Scaling, normalising and the order of channels and
    dimensions belong to the exported graph.

    Args:
        image: An upright photo.
        spec: What the image tower takes.
        extent: The part of ``image`` that the photo fills, from `open_photo`; all of it by
            default. Without it, a JPEG decoded at a fraction would come out shifted.
        resizing: The filter, where a host has another than the spec names.
    """
    image = to_rgb(image, spec.fill)
    box = extent or (0, 0, *image.size)
    if spec.resize_mode == "shortest":
        box = _middle(box)
    size = _resized((box[2] - box[0], box[3] - box[1]), spec)
    resized = resize(image, size, box, resizing or spec.interpolation)
    square = _cropped_or_padded(resized, spec)
    return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))


def normalise(pixels: Pixels, spec: Preprocessing) -> NDArray[np.float32]:
    """What the graph does to RGB ``(..., 3, height, width)`` first, in numpy.

    Pixels 0 to 255 are scaled to ``value_range``, then ``mean`` and ``std`` apply.
    """
    low, high = spec.value_range
    mean, std = (
        np.array(channel, np.float32).reshape(3, 1, 1) for channel in (spec.mean, spec.std)
    )
    scaled = pixels.astype(np.float32) * np.float32((high - low) / 255) + np.float32(low)
    return (scaled - mean) / std


def _resized(size: tuple[float, float], spec: Preprocessing) -> tuple[int, int]:
    width, height = size
    if spec.resize_mode == "squash":
        return spec.size, spec.size
    if spec.resize_mode == "longest":
        ratio = max(size) / spec.size
        return max(1, round(width / ratio)), max(1, round(height / ratio))
    # torchvision cuts the fraction of the long side off.
    if width <= height:
        return spec.size, int(spec.size * height / width)
    return int(spec.size * width / height), spec.size


def _middle(box: Box) -> Box:
    left, top, right, bottom = box
    longest = _LONGEST_ASPECT * min(right - left, bottom - top)
    x, y = (max(0, side - longest) // 2 for side in (right - left, bottom - top))
    return left + x, top + y, right - x, bottom - y


def _cropped_or_padded(image: Image.Image, spec: Preprocessing) -> Image.Image:
    if image.size == (spec.size, spec.size):
        return image
    canvas = Image.new("RGB", (spec.size, spec.size), spec.fill)
    canvas.paste(image, (_offset(image.width, spec.size), _offset(image.height, spec.size)))
    return canvas


def _offset(side: int, target: int) -> int:
    # As torchvision's center_crop, whose round goes to the even neighbour at a half, and
    # as open_clip's padding, which gives the odd pixel to the right and the bottom.
    return -round((side - target) / 2) if side > target else (target - side) // 2

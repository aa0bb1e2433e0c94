"""From an upright photo to the pixels that an image tower takes, as its spec says."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.decode import FULL_SIZE, MAX_PIXELS, open_photo
from retrieval.vision.modes import to_rgb

Pixels = NDArray[np.uint8]

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

# Of a photo more elongated than this, only the middle is resized: a strip of 4,000 x 10
# would otherwise grow to 89,600 x 224 before all but its centre is cut away.
_LONGEST_ASPECT = 8


def load_pixels(
    path: Path, spec: Preprocessing, *, draft: bool = True, max_pixels: int = MAX_PIXELS
) -> Pixels:
    """Decode and preprocess a photo file; uint8 RGB ``(3, size, size)``.

    Args:
        path: The photo.
        spec: What the image tower takes.
        draft: Decode a large JPEG at a fraction of its size (see `open_photo`).
        max_pixels: Largest width times height that is decoded.

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
    return preprocess(photo, spec, full_size=photo.info[FULL_SIZE])


def preprocess(
    image: Image.Image, spec: Preprocessing, *, full_size: tuple[int, int] | None = None
) -> Pixels:
    """Resize, then crop or pad; uint8 RGB ``(3, size, size)``, for every spec.

    Equal to open_clip's evaluation transform before its scaling: sizes and offsets are
    rounded as torchvision does. Scaling, normalising and the order of channels and
    dimensions belong to the exported graph.

    Args:
        image: An upright photo.
        spec: What the image tower takes.
        full_size: Width and height before a JPEG was decoded at a fraction of its size.
            The fraction is rounded; sizes computed from it would shift the crop by a pixel.
    """
    image = to_rgb(image, spec.fill)
    sampling = _FILTERS[spec.interpolation]
    if spec.resize_mode == "squash":
        square = image.resize((spec.size, spec.size), sampling)
    elif spec.resize_mode == "longest":
        square = _padded(image.resize(_longest(full_size or image.size, spec.size), sampling), spec)
    else:
        middle = _middle(image)
        source = full_size if full_size and middle is image else middle.size
        square = _cropped(middle.resize(_shortest(source, spec.size), sampling), spec.size)
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


def _shortest(size: tuple[int, int], target: int) -> tuple[int, int]:
    width, height = size
    if width <= height:
        return target, int(target * height / width)
    return int(target * width / height), target


def _longest(size: tuple[int, int], target: int) -> tuple[int, int]:
    ratio = max(size) / target
    width, height = (max(1, round(side / ratio)) for side in size)
    return width, height


def _middle(image: Image.Image) -> Image.Image:
    width, height = image.size
    longest = _LONGEST_ASPECT * min(image.size)
    if max(image.size) <= longest:
        return image
    left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    return image.crop((left, top, left + min(width, longest), top + min(height, longest)))


def _cropped(image: Image.Image, size: int) -> Image.Image:
    # Python's round goes to the even neighbour at a half, as in torchvision's center_crop.
    left, top = (round((side - size) / 2) for side in image.size)
    return image.crop((left, top, left + size, top + size))


def _padded(image: Image.Image, spec: Preprocessing) -> Image.Image:
    canvas = Image.new("RGB", (spec.size, spec.size), spec.fill)
    canvas.paste(image, ((spec.size - image.width) // 2, (spec.size - image.height) // 2))
    return canvas

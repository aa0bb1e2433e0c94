"""Filters that shrink a photo: those that a spec names, and stand-ins for those of phones.

A spec asks every host for one filter. What a platform offers instead differs, and these
stand-ins say by how much without the platform at hand. `STANDS_FOR` names the call that
each one imitates. How far they can be trusted:

- ``plain-bilinear``: documented. Android's filter flag is bilinear interpolation between
  four neighbours (Skia's linear sampling without mipmaps), which skips pixels when it shrinks.
- ``halved-bilinear``: exact up to rounding, since it is a recipe over the former.
- ``mipmap-bilinear``: how Skia's medium quality is documented, bilinear over mipmaps; that the
  nearest level is taken follows Skia's sources, its treatment of odd sides does not.
- ``mitchell``: Skia's high quality is the Mitchell cubic. That an engine widens it when it
  shrinks is assumed: engines that do not are closer to ``mipmap-bilinear``.
- ``linear-light-lanczos``: that Core Image filters in linear light is documented (its default
  working space); that its Lanczos filter has radius 3 is assumed.
- ``linear-light-bicubic``: B = 0 and C = 0.75 are its documented defaults; that it does not
  widen is the harsher of two assumptions.
- ``lanczos5``: vImage documents a Lanczos filter and a better one on request; the radii 3
  (``lanczos``) and 5 are assumed. It filters the stored values.

A photo that a JPEG decoder has shrunk before it comes here is shrunk less by these filters.
"""

import math
from collections.abc import Callable
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Box = tuple[float, float, float, float]
Size = tuple[int, int]
Floats = NDArray[np.float32]
Kernel = Callable[[NDArray[np.floating]], NDArray[np.floating]]
"""Weights by distance in pixels."""

Resizing = Literal[
    "bilinear",
    "bicubic",
    "lanczos",
    "plain-bilinear",
    "halved-bilinear",
    "mipmap-bilinear",
    "mitchell",
    "linear-light-lanczos",
    "linear-light-bicubic",
    "lanczos5",
]

RESIZINGS: tuple[Resizing, ...] = get_args(Resizing)

STANDS_FOR: dict[Resizing, str] = {
    "bilinear": "Pillow, torchvision with antialias",
    "bicubic": "Pillow, torchvision with antialias",
    "lanczos": "Pillow; vImageScale on Apple systems",
    "plain-bilinear": "Android Bitmap.createScaledBitmap; canvas drawImage, quality low",
    "halved-bilinear": "Android createScaledBitmap by halves",
    "mipmap-bilinear": "canvas drawImage, quality medium",
    "mitchell": "canvas drawImage, quality high",
    "linear-light-lanczos": "Core Image CILanczosScaleTransform",
    "linear-light-bicubic": "Core Image CIBicubicScaleTransform",
    "lanczos5": "vImageScale with kvImageHighQualityResampling",
}

_ROWS = 16

_PILLOW = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def resize(image: Image.Image, size: Size, box: Box, resizing: Resizing) -> Image.Image:
    """Resize the part of an image that lies in a box.

    Args:
        image: RGB.
        size: Width and height of the result.
        box: Left, top, right and bottom in pixels of ``image``; fractions count.
        resizing: Which filter.
    """
    if resizing in _PILLOW:
        return image.resize(size, _PILLOW[resizing], box)
    return _STAND_INS[resizing](image, size, box)


def _plain_bilinear(image: Image.Image, size: Size, box: Box) -> Image.Image:
    # Pillow's `transform` looks at four neighbours however much it shrinks.
    return image.transform(size, Image.Transform.EXTENT, box, Image.Resampling.BILINEAR)


def _halved_bilinear(image: Image.Image, size: Size, box: Box) -> Image.Image:
    width, height = box[2] - box[0], box[3] - box[1]
    while width >= 2 * size[0] and height >= 2 * size[1]:
        half = int(width) // 2, int(height) // 2
        image = _plain_bilinear(image, half, box)
        (width, height), box = half, (0, 0, *half)
    return _plain_bilinear(image, size, box)


def _mipmap_bilinear(image: Image.Image, size: Size, box: Box) -> Image.Image:
    shrinking = math.sqrt((box[2] - box[0]) * (box[3] - box[1]) / (size[0] * size[1]))
    factor = 2 ** max(0, round(math.log2(shrinking)))
    if factor == 1:
        return _plain_bilinear(image, size, box)
    left, top, right, bottom = (side / factor for side in box)
    return _plain_bilinear(image.reduce(factor), size, (left, top, right, bottom))


def convolve(
    image: Image.Image,
    size: Size,
    box: Box,
    kernel: Kernel,
    radius: float,
    *,
    widened: bool = True,
    linear_light: bool = False,
) -> Image.Image:
    """Resize with any separable filter.

    Args:
        image: RGB.
        size: Width and height of the result.
        box: As for `resize`.
        kernel: Weights by distance in pixels.
        radius: Distance beyond which the kernel is zero.
        widened: Whether it widens with the scale when it shrinks, which prevents aliasing.
        linear_light: Whether amounts of light are averaged, not the stored sRGB values.
    """
    values = np.asarray(image)
    amounts = _LIGHT[values] if linear_light else values.astype(np.float32)
    down = _weights(image.height, size[1], box[1], box[3], kernel, radius, widened)
    across = _weights(image.width, size[0], box[0], box[2], kernel, radius, widened)
    resized = _filtered(across, _filtered(down, amounts).swapaxes(0, 1)).swapaxes(0, 1)
    if linear_light:
        resized = _stored(resized)
    return Image.fromarray(np.clip(np.rint(resized), 0, 255).astype(np.uint8))


def _weights(
    given: int,
    wanted: int,
    low: float,
    high: float,
    kernel: Kernel,
    radius: float,
    widened: bool,
) -> Floats:
    """What each given pixel adds to each wanted one, ``(wanted, given)``; rows sum to one."""
    scale = (high - low) / wanted
    width = max(1.0, scale) if widened else 1.0
    centres = low + (np.arange(wanted, dtype=np.float32)[:, None] + 0.5) * scale
    distances = (np.arange(given, dtype=np.float32) + 0.5 - centres) / np.float32(width)
    weights = np.where(np.abs(distances) < radius, kernel(distances), 0).astype(np.float32)
    return cast(Floats, weights / weights.sum(axis=1, keepdims=True))


def _filtered(weights: Floats, values: Floats) -> Floats:
    """Weights ``(wanted, given)`` applied to ``(given, ...)``, ``_ROWS`` at a time.

    Neighbours in the result share most of what they look at, and look at little of the photo:
    small products of matrices skip the zeros.
    """
    found = np.empty((len(weights), *values.shape[1:]), np.float32)
    for start in range(0, len(weights), _ROWS):
        part = weights[start : start + _ROWS]
        used = np.flatnonzero(part.any(axis=0))
        seen = slice(used[0], used[-1] + 1)
        found[start : start + _ROWS] = np.tensordot(part[:, seen], values[seen], axes=1)
    return found


def lanczos(radius: int) -> Kernel:
    """The Lanczos kernel with so many lobes on each side."""
    return lambda distance: np.sinc(distance) * np.sinc(distance / radius)


def cubic(b: float, c: float) -> Kernel:
    """The family of cubic kernels of Mitchell and Netravali (SIGGRAPH 1988), equation 8."""

    def kernel(distance: NDArray[np.floating]) -> NDArray[np.floating]:
        x = np.abs(distance)
        near = (12 - 9 * b - 6 * c) * x**3 + (-18 + 12 * b + 6 * c) * x**2 + 6 - 2 * b
        far = (-b - 6 * c) * x**3 + (6 * b + 30 * c) * x**2 + (-12 * b - 48 * c) * x
        return np.where(x < 1, near, far + 8 * b + 24 * c) / np.float32(6)

    return kernel


def _mitchell(image: Image.Image, size: Size, box: Box) -> Image.Image:
    return convolve(image, size, box, cubic(1 / 3, 1 / 3), 2)


def _linear_light_lanczos(image: Image.Image, size: Size, box: Box) -> Image.Image:
    return convolve(image, size, box, lanczos(3), 3, linear_light=True)


def _linear_light_bicubic(image: Image.Image, size: Size, box: Box) -> Image.Image:
    return convolve(image, size, box, cubic(0, 0.75), 2, widened=False, linear_light=True)


def _lanczos5(image: Image.Image, size: Size, box: Box) -> Image.Image:
    return convolve(image, size, box, lanczos(5), 5)


def _light_of_values() -> Floats:
    """Amount of light from 0 to 1 of each stored value, IEC 61966-2-1."""
    stored = np.arange(256) / 255
    light = np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


def _stored(light: Floats) -> Floats:
    """The inverse, 0 to 255."""
    light = np.clip(light, 0, 1)
    values = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return values * np.float32(255)


_LIGHT = _light_of_values()

_STAND_INS: dict[str, Callable[[Image.Image, Size, Box], Image.Image]] = {
    "plain-bilinear": _plain_bilinear,
    "halved-bilinear": _halved_bilinear,
    "mipmap-bilinear": _mipmap_bilinear,
    "mitchell": _mitchell,
    "linear-light-lanczos": _linear_light_lanczos,
    "linear-light-bicubic": _linear_light_bicubic,
    "lanczos5": _lanczos5,
}

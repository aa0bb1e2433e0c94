"""Random views of a photo, each decided by a seed that can be stored and replayed."""

import random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from retrieval.compress.training import Augmentation
from retrieval.spec.preprocessing import Preprocessing

Pixels = NDArray[np.uint8]

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def random_view(
    photo: Image.Image, spec: Preprocessing, augmentation: Augmentation, seed: int, mirror: bool
) -> Pixels:
    """Crop, resize, mirror and recolour; uint8 ``(3, side, side)``.

    Args:
        photo: Upright RGB.
        spec: Gives size and interpolation; the crop stands in for its resize mode.
        augmentation: How far views may go.
        seed: The same seed gives the same view of the same photo.
        mirror: Whether this photo may be flipped at all.
    """
    chance = random.Random(seed)
    box = _crop_box(photo.size, spec, augmentation, chance)
    side = augmentation.size or spec.size
    view = photo.resize((side, side), _FILTERS[spec.interpolation], box=box)
    if mirror and augmentation.mirror and chance.random() < 0.5:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if augmentation.colour:
        view = _recolour(view, augmentation.colour, chance)
    return np.ascontiguousarray(np.asarray(view).transpose(2, 0, 1))


def _crop_box(
    size: tuple[int, int], spec: Preprocessing, augmentation: Augmentation, chance: random.Random
) -> tuple[float, float, float, float]:
    """A random rectangle whose shape strays at most ``aspect`` from what inference crops."""
    width, height = size
    if spec.resize_mode == "shortest":
        # Inference sees the central square, so views are square up to the allowed stretch.
        whole_width = whole_height = float(min(width, height))
    else:
        whole_width, whole_height = float(width), float(height)
    area = chance.uniform(augmentation.min_area, 1.0)
    stretch = augmentation.aspect ** chance.uniform(-1, 1)
    crop_width = min(width, whole_width * (area * stretch) ** 0.5)
    crop_height = min(height, whole_height * (area / stretch) ** 0.5)
    left = chance.uniform(0, width - crop_width)
    top = chance.uniform(0, height - crop_height)
    return left, top, min(width, left + crop_width), min(height, top + crop_height)


def _recolour(view: Image.Image, strength: float, chance: random.Random) -> Image.Image:
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        view = enhancer(view).enhance(1 + chance.uniform(-strength, strength))
    return view

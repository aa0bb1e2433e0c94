"""Random views of a photo, as data that can be stored and shown to several models."""

import random
import re
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from pydantic import Field

from retrieval.compress.loop.settings import Augmentation, Fraction
from retrieval.spec.base import Spec
from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.decode import EXTENT, Box
from retrieval.vision.resizing import Resizing, resize

Pixels = NDArray[np.uint8]

_SIDES = re.compile(r"\b(left|right)\b", re.IGNORECASE)


class ViewRules(Spec):
    """How far random views may go: all that decides a view beside its seed and its photo.

    The side that a view is resized to is not among them, so that a teacher and a student of
    different input sizes can be shown the same view.
    """

    min_area: Annotated[float, Field(gt=0, le=1)]
    aspect: Annotated[float, Field(ge=1)]
    mirror: bool
    colour: Fraction
    square: bool
    """Whether views are square up to ``aspect``, or else shaped like the photo."""
    exif_orientation: Literal["apply", "ignore"]

    @classmethod
    def of(cls, spec: Preprocessing, augmentation: Augmentation) -> Self:
        """The rules by which a model of ``spec`` is trained with ``augmentation``."""
        return cls(
            min_area=augmentation.min_area,
            aspect=augmentation.aspect,
            mirror=augmentation.mirror,
            colour=augmentation.colour,
            # Where inference sees the central square, so does training.
            square=spec.resize_mode == "shortest",
            exif_orientation=spec.exif_orientation,
        )


class View(NamedTuple):
    """One view of one photo.

    The box counts from the upper left in shares of the photo's width and height, so it
    means the same at whichever size the photo is decoded.
    """

    left: float
    top: float
    right: float
    bottom: float
    mirrored: bool = False
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0


def draw_view(size: tuple[float, float], rules: ViewRules, seed: int, may_mirror: bool) -> View:
    """A random view.

    Args:
        size: Width and height of the photo in any unit: only their ratio matters.
        rules: How far views may go.
        seed: The same seed gives the same view of the same photo.
        may_mirror: Whether this photo may be flipped at all.
    """
    chance = random.Random(seed)
    width, height = size
    whole_width = whole_height = float(min(width, height))
    if not rules.square:
        whole_width, whole_height = width, height
    area = chance.uniform(rules.min_area, 1.0)
    stretch = rules.aspect ** chance.uniform(-1, 1)
    across = min(1.0, whole_width / width * (area * stretch) ** 0.5)
    down = min(1.0, whole_height / height * (area / stretch) ** 0.5)
    left = chance.uniform(0, 1 - across)
    top = chance.uniform(0, 1 - down)
    mirrored = chance.random() < 0.5 and rules.mirror and may_mirror
    factors = [1 + chance.uniform(-rules.colour, rules.colour) for _ in range(3)]
    return View(left, top, min(1.0, left + across), min(1.0, top + down), mirrored, *factors)


def draw_resizing(spec: Preprocessing, augmentation: Augmentation, seed: int) -> Resizing:
    """The filter that shrinks a photo for one view.

    Views do not hold it: a teacher that was shown one has seen it through its own filter.

    Args:
        spec: Gives the filter where the augmentation names none.
        augmentation: Names the filters to draw from.
        seed: Of the view; the same seed gives the same filter.
    """
    resizings = augmentation.resizings
    if not resizings:
        return spec.interpolation
    # Numbers of its own, so that the views of a seed are the same with and without.
    return random.Random(f"resizing {seed}").choice(resizings)


def show_view(photo: Image.Image, view: View, side: int, resizing: Resizing) -> Pixels:
    """Crop, resize, mirror and recolour; uint8 ``(3, side, side)``.

    Args:
        photo: Upright RGB, as `open_photo` gives it.
        view: What to show of it.
        side: Height and width of the result; the box is stretched to it.
        resizing: The filter.
    """
    box = _in_pixels(view, photo.info.get(EXTENT, (0.0, 0.0, *photo.size)))
    shown = resize(photo, (side, side), box, resizing)
    if view.mirrored:
        shown = shown.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for enhancer, factor in (
        (ImageEnhance.Brightness, view.brightness),
        (ImageEnhance.Contrast, view.contrast),
        (ImageEnhance.Color, view.saturation),
    ):
        if factor != 1:
            shown = enhancer(shown).enhance(factor)
    return np.ascontiguousarray(np.asarray(shown).transpose(2, 0, 1))


def photo_size(photo: Image.Image) -> tuple[float, float]:
    """Width and height that a photo fills, whose ratio is the same however it was decoded."""
    left, top, right, bottom = photo.info.get(EXTENT, (0.0, 0.0, *photo.size))
    return right - left, bottom - top


def may_mirror(captions: Sequence[str]) -> bool:
    """Whether flipping left to right keeps the captions true."""
    return not any(_SIDES.search(caption) for caption in captions)


def _in_pixels(view: View, extent: Box) -> Box:
    left, top, right, bottom = extent
    width, height = right - left, bottom - top
    return (
        left + view.left * width,
        top + view.top * height,
        min(right, left + view.right * width),
        min(bottom, top + view.bottom * height),
    )

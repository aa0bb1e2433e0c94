"""What lies behind a scene: random parts of photos, or smooth colour gradients."""

import random
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageEnhance

from retrieval.spec.errors import CorpusError, PhotoError
from retrieval.vision.decode import open_photo

_KEPT = 80
"""Background photos kept in memory."""
_KEPT_SIDE = 640
"""Short side at which they are kept, in pixels."""


class Backgrounds:
    """Makes square backgrounds.

    Photos are kept decoded and small, so making a background takes about a millisecond as
    long as there are no more than some dozens of them.

    Args:
        photos: Photo files; with none of them, backgrounds are colour gradients.
        size: Width and height of a background, in pixels.
    """

    def __init__(self, photos: Sequence[Path], size: int) -> None:
        self._size = size
        self._photos = photos
        self._read = lru_cache(maxsize=_KEPT)(_read)

    def draw(self, rng: random.Random) -> Image.Image:
        """A new RGB picture that the caller may draw on.

        Raises:
            CorpusError: The file that was chosen cannot be read as a photo.
        """
        if not self._photos:
            return self._gradient(rng)
        photo = self._read(rng.choice(self._photos), max(self._size, _KEPT_SIDE))
        side = rng.uniform(0.5, 1.0) * min(photo.size)
        left = rng.uniform(0, photo.width - side)
        top = rng.uniform(0, photo.height - side)
        part = photo.resize(
            (self._size, self._size),
            Image.Resampling.BILINEAR,
            box=(left, top, left + side, top + side),
        )
        if rng.random() < 0.5:
            part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return ImageEnhance.Brightness(part).enhance(rng.uniform(0.75, 1.05))

    def _gradient(self, rng: random.Random) -> Image.Image:
        corners = Image.new("RGB", (2, 2))
        base = [rng.randrange(70, 200) for _ in range(3)]
        for x in range(2):
            for y in range(2):
                red, green, blue = (channel + rng.randrange(-50, 51) for channel in base)
                corners.putpixel((x, y), (red, green, blue))
        return corners.resize((self._size, self._size), Image.Resampling.BICUBIC)


def _read(path: Path, short_side: int) -> Image.Image:
    try:
        photo = open_photo(path, target=short_side)
    except PhotoError as error:
        raise CorpusError(f"no background: {error}") from error
    scale = short_side / min(photo.size)
    if scale >= 1:
        return photo
    size = round(photo.width * scale), round(photo.height * scale)
    return photo.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)

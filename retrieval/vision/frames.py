"""What the image tower gets of a file: one picture of a photo, several of a video."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retrieval.spec.errors import PhotoError
from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.decode import is_video_name
from retrieval.vision.preprocess import Pixels, load_pixels, preprocess

# Two pictures are nearly the same if no part of 16 x 16 differs more than this, of 255.
# Noise averages out over a part; somebody who enters a still scene changes some.
_PARTS = 16
_ALIKE = 16

_Parts = NDArray[np.int16]


class Frames(NamedTuple):
    """Pictures of one file."""

    pixels: Pixels
    """uint8 RGB ``(moments, 3, size, size)``."""
    moments: tuple[int | None, ...]
    """Where in a video each lies, in milliseconds; one None for a photo."""


def load_frames(path: Path, spec: Preprocessing) -> Frames:
    """Decode and preprocess a photo, or keyframes of a video.

    Of neighbours in a video that look nearly the same, the first is kept.

    Args:
        path: The file.
        spec: What the image tower takes.

    Raises:
        PhotoError: The file is not a photo or video that can be decoded.
    """
    if not is_video_name(path):
        return Frames(load_pixels(path, spec)[np.newaxis], (None,))
    from retrieval.vision.video import opened_video

    pixels, moments = [], []
    last: _Parts | None = None
    with opened_video(path) as video:
        for frame in video.keyframes():
            parts = _parts(frame.picture)
            if last is not None and np.abs(parts - last).max() <= _ALIKE:
                continue
            last = parts
            pixels.append(preprocess(frame.picture, spec))
            moments.append(frame.moment_ms)
    if not pixels:
        raise PhotoError(f"{path} cannot be read: none of its pictures is whole")
    return Frames(np.stack(pixels), tuple(moments))


def _parts(picture: Image.Image) -> _Parts:
    small = picture.resize((_PARTS, _PARTS), Image.Resampling.BOX, reducing_gap=1.0)
    return np.asarray(small).astype(np.int16)

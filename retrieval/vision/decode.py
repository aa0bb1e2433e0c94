"""From a photo file to upright RGB pixels, or one line that says why not."""

import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

from PIL import ExifTags, Image

from retrieval.spec.errors import PhotoError
from retrieval.vision.formats import (
    HEIF_INSTALLED,
    HEIF_SUFFIXES,
    RAW_INSTALLED,
    RAW_SUFFIXES,
    VIDEO_INSTALLED,
    VIDEO_SUFFIXES,
    read_header,
)
from retrieval.vision.members import file_state, member_of, open_file
from retrieval.vision.modes import Colour, to_rgb

_NO_SUFFIXES: frozenset[str] = frozenset()

PHOTO_SUFFIXES = (
    frozenset({".jpg", ".jpeg", ".png", ".webp", ".avif", ".gif", ".tif", ".tiff", ".bmp"})
    | (HEIF_SUFFIXES if HEIF_INSTALLED else _NO_SUFFIXES)
    | (RAW_SUFFIXES if RAW_INSTALLED else _NO_SUFFIXES)
)
"""Of photos that can be read with what is installed."""

_READABLE = PHOTO_SUFFIXES | (VIDEO_SUFFIXES if VIDEO_INSTALLED else _NO_SUFFIXES)
_KNOWN = PHOTO_SUFFIXES | HEIF_SUFFIXES | RAW_SUFFIXES | VIDEO_SUFFIXES

# A phone's 200 megapixel photo (16320 x 12240) is still read.
MAX_PIXELS = 200_000_000

# A JPEG decoded at 1/2, 1/4 or 1/8 keeps at least this many times the pixels that the
# model takes. At 2, resized to 224 pixels, 15 photographs in four sizes differed from
# their full decode by 0.3 of 255 on average and by 1.0 at worst; at 1 by 1.1 and 4.6.
DRAFT_MARGIN = 2

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""
_RIGHT_TO_LEFT = (2, 3, 6, 7)
_BOTTOM_TO_TOP = (3, 4, 7, 8)

Box = tuple[float, float, float, float]

EXTENT = "extent"
"""Key in the ``info`` of an opened photo: the `Box` that it fills, in pixels of the image.

A photo 1003 pixels wide fills 250.75 of the 251 columns that a quarter of it has; turned
upright, the partly filled column may be the first."""

# Pillow warns of broken metadata in photos that are otherwise whole. A filter set once,
# because `warnings.catch_warnings` is not safe when several threads decode.
warnings.filterwarnings("ignore", module=r"PIL\.")


def is_photo_name(path: Path) -> bool:
    """Whether the name ends like a photo that can be read."""
    return path.suffix.lower() in PHOTO_SUFFIXES


def is_video_name(path: Path) -> bool:
    """Whether the name ends like a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def is_readable_name(path: Path) -> bool:
    """Whether the name ends like a photo or a video that can be read."""
    return path.suffix.lower() in _READABLE


def is_known_name(path: Path) -> bool:
    """Whether the name ends like a photo or a video that could be read with all extras."""
    return path.suffix.lower() in _KNOWN


def open_photo(
    path: Path,
    *,
    target: int | None = None,
    exif_orientation: Literal["apply", "ignore"] = "apply",
    fill: Colour = (0, 0, 0),
    max_pixels: int = MAX_PIXELS,
    moment_ms: int | None = None,
) -> Image.Image:
    """Decode a photo upright, as RGB, the first frame if it is animated.

    The image carries no metadata but ``info[EXTENT]``.

    Args:
        path: JPEG, PNG, WebP, AVIF, GIF, TIFF or BMP; HEIC with ``leanclip[heif]``. It may
            lie in a tar file, as ``shard.tar/photo.jpg``. Of a RAW file
            (``leanclip[raw]``), the picture that the camera embedded is taken; of a video
            (``leanclip[video]``), a keyframe.
        target: Pixels that the short side must keep. When given, a large JPEG is decoded
            at a fraction of its size, which is several times faster; its short side stays
            at least ``DRAFT_MARGIN * target``.
        exif_orientation: Whether to turn the photo as its metadata says.
        fill: What transparent pixels are laid over.
        max_pixels: Largest width times height that is decoded.
        moment_ms: Where in a video the wanted keyframe lies; None for a typical one.

    Raises:
        PhotoError: The file is missing, unreadable, no photo, damaged, truncated, or has
            more than ``max_pixels``. Nothing else is raised for any content of a file.
    """
    if is_video_name(path):
        return _keyframe(path, moment_ms, max_pixels)
    with reading(path) as stream:
        photo = _header(path, stream, target, max_pixels)
        if photo is None:
            raise PhotoError(f"{path} is not a photo that can be read{_hint(path)}")
        check_pixels(path, photo.size, max_pixels)
        filled = photo.size if target is None else _draft(photo, DRAFT_MARGIN * target)
        photo.load()
        orientation = _orientation(photo) if exif_orientation == "apply" else 1
        turn = _TURNS.get(orientation)
        rgb = to_rgb(photo if turn is None else photo.transpose(turn), fill)
    # The metadata describes the file, not these pixels: its orientation would turn them again.
    rgb.info = {EXTENT: _extent(rgb.size, filled, orientation)}
    return rgb


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """Open a file for a decoder, which may raise whatever it likes.

    Raises:
        PhotoError: The file is missing, empty, no regular file, or its reader raised anything.
    """
    try:
        _check_file(path)
        with open_file(path) as stream:
            yield stream
    except PhotoError:
        raise
    except Exception as error:
        # On damaged bytes Pillow's decoders raise SyntaxError, ValueError, struct.error,
        # EOFError, MemoryError and more; what they mean to a user is the same.
        raise PhotoError(f"{path} cannot be read: {_line(error)}") from error


def _header(
    path: Path, stream: BinaryIO, target: int | None, max_pixels: int
) -> Image.Image | None:
    # Most RAW files are TIFF files, too, of a tiny picture.
    if path.suffix.lower() not in RAW_SUFFIXES:
        return read_header(stream)
    if not RAW_INSTALLED:
        return None
    from retrieval.vision.raw import embedded_picture

    return embedded_picture(stream, target=target, max_pixels=max_pixels)


def _keyframe(path: Path, moment_ms: int | None, max_pixels: int) -> Image.Image:
    from retrieval.vision.video import opened_video

    with opened_video(path, max_pixels=max_pixels) as video:
        picture = video.picture_at(moment_ms)
    picture.info = {EXTENT: (0.0, 0.0, *map(float, picture.size))}
    return picture


def _check_file(path: Path) -> None:
    if member_of(path) is None and not stat.S_ISREG(path.stat().st_mode):
        # Opening a named pipe would wait for ever.
        raise PhotoError(f"{path} is not a regular file")
    if file_state(path).bytes == 0:
        raise PhotoError(f"{path} is empty (0 bytes)")


def check_pixels(path: Path, size: tuple[int, int], limit: int) -> None:
    """Refuse a picture of more than ``limit`` pixels.

    Raises:
        PhotoError: It has more.
    """
    width, height = size
    if width * height > limit:
        raise PhotoError(
            f"{path} has {width} x {height} = {width * height:,} pixels, more than the limit of "
            f"{limit:,}: make it smaller or raise max_pixels"
        )


def _draft(photo: Image.Image, shortest: int) -> tuple[float, float]:
    drafted = photo.draft(None, (shortest, shortest))
    # The box that Pillow returns is not rounded; it returns none for formats without drafts.
    return photo.size if drafted is None else drafted[1][2:]


def _extent(size: tuple[int, int], filled: tuple[float, float], orientation: int) -> Box:
    width, height = filled[::-1] if orientation in SIDEWAYS else filled
    left = size[0] - width if orientation in _RIGHT_TO_LEFT else 0.0
    top = size[1] - height if orientation in _BOTTOM_TO_TOP else 0.0
    return left, top, left + width, top + height


def _orientation(photo: Image.Image) -> int:
    try:
        return int(photo.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        # Broken metadata, in as many ways as broken pixels: a photo without orientation.
        return 1


def _hint(path: Path) -> str:
    suffix = path.suffix.lower()
    for extra, suffixes, installed in (
        ("heif", HEIF_SUFFIXES, HEIF_INSTALLED),
        ("raw", RAW_SUFFIXES, RAW_INSTALLED),
    ):
        if suffix in suffixes and not installed:
            return f" without an extra: pip install 'leanclip[{extra}]'"
    return ", or its first bytes are damaged"


def _line(error: Exception) -> str:
    # FFmpeg's errors have it, too, and are no OSErrors.
    reason = getattr(error, "strerror", None)
    return " ".join(str(reason or error).split()) or type(error).__name__

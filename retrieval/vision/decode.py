"""From a photo file to upright RGB pixels, or one line that says why not."""

import stat
import warnings
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from PIL import ExifTags, Image, UnidentifiedImageError

from retrieval.spec.errors import PhotoError
from retrieval.vision.modes import Colour, to_rgb

# A phone's 200 megapixel photo (16320 x 12240) is still read.
MAX_PIXELS = 200_000_000

# A JPEG decoded at 1/2, 1/4 or 1/8 keeps at least this many times the pixels that the
# model takes. Measured on photographs at 224 pixels, the resized result differs from that
# of a full decode by under 1 of 255 on average at 2, against 2 of 255 and more at 1.
DRAFT_MARGIN = 2

_HEIF_SUFFIXES = frozenset({".heic", ".heif"})
_HEIF = find_spec("pillow_heif") is not None
PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".avif", ".gif", ".tif", ".tiff", ".bmp"}
) | (_HEIF_SUFFIXES if _HEIF else frozenset())

_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP")

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)

FULL_SIZE = "full_size"
"""Key in the ``info`` of an opened photo: its upright width and height in the file."""

# Pillow's own limit holds for the whole process and lies below what phones make;
# `open_photo` checks its limit from the header, before anything is decoded.
Image.MAX_IMAGE_PIXELS = None
# Pillow warns of broken metadata in photos that are otherwise whole. A filter set once,
# because `warnings.catch_warnings` is not safe when several threads decode.
warnings.filterwarnings("ignore", module=r"PIL\.")


def is_photo_name(path: Path) -> bool:
    """Whether the name ends like a photo that `open_photo` can read."""
    return path.suffix.lower() in PHOTO_SUFFIXES


def open_photo(
    path: Path,
    *,
    target: int | None = None,
    exif_orientation: Literal["apply", "ignore"] = "apply",
    fill: Colour = (0, 0, 0),
    max_pixels: int = MAX_PIXELS,
) -> Image.Image:
    """Decode a photo upright, as RGB, the first frame if it is animated.

    The image carries no metadata but ``info[FULL_SIZE]``.

    Args:
        path: JPEG, PNG, WebP, AVIF, GIF, TIFF or BMP; HEIC with ``leanclip[heif]``.
        target: Pixels that the short side must keep. When given, a large JPEG is decoded
            at a fraction of its size, which is several times faster; its short side stays
            at least ``DRAFT_MARGIN * target``.
        exif_orientation: Whether to turn the photo as its metadata says.
        fill: What transparent pixels are laid over.
        max_pixels: Largest width times height that is decoded.

    Raises:
        PhotoError: The file is missing, unreadable, no photo, damaged, truncated, or has
            more than ``max_pixels``. Nothing else is raised for any content of a file.
    """
    try:
        _check_file(path)
        with path.open("rb") as stream:
            photo = Image.open(stream, formats=_formats(path))
            full_size = photo.size
            _check_pixels(path, full_size, max_pixels)
            if target is not None:
                photo.draft(None, (DRAFT_MARGIN * target, DRAFT_MARGIN * target))
            photo.load()
            orientation = _orientation(photo) if exif_orientation == "apply" else 1
            turn = _TURNS.get(orientation)
            rgb = to_rgb(photo if turn is None else photo.transpose(turn), fill)
    except PhotoError:
        raise
    except UnidentifiedImageError as error:
        raise PhotoError(f"{path} is not a photo{_hint(path)}") from error
    except Exception as error:
        # On damaged bytes Pillow's decoders raise SyntaxError, ValueError, struct.error,
        # EOFError, MemoryError and more; what they mean to a user is the same.
        raise PhotoError(f"{path} cannot be read: {_line(error)}") from error
    # The metadata describes the file, not these pixels: its orientation would turn them again.
    rgb.info = {FULL_SIZE: full_size[::-1] if orientation in _SIDEWAYS else full_size}
    return rgb


def _check_file(path: Path) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        # Opening a named pipe would wait for ever.
        raise PhotoError(f"{path} is not a regular file")
    if status.st_size == 0:
        raise PhotoError(f"{path} is empty (0 bytes)")


def _check_pixels(path: Path, size: tuple[int, int], limit: int) -> None:
    width, height = size
    if width * height > limit:
        raise PhotoError(
            f"{path} has {width} x {height} = {width * height:,} pixels, more than the limit of "
            f"{limit:,}: make it smaller or raise max_pixels"
        )


def _orientation(photo: Image.Image) -> int:
    try:
        return int(photo.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        # Broken metadata, in as many ways as broken pixels: a photo without orientation.
        return 1


@cache
def _register_heif() -> None:
    import_module("pillow_heif").register_heif_opener()


def _formats(path: Path) -> tuple[str, ...]:
    if not _HEIF or path.suffix.lower() not in _HEIF_SUFFIXES:
        return _FORMATS
    _register_heif()
    return (*_FORMATS, "HEIF")


def _hint(path: Path) -> str:
    if path.suffix.lower() in _HEIF_SUFFIXES and not _HEIF:
        return " that can be read without an extra: pip install 'leanclip[heif]'"
    return " that can be read, or its first bytes are damaged"


def _line(error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) else None
    return " ".join(str(reason or error).split()) or type(error).__name__

"""What a file says of itself: its size, when, where and with what it was taken."""

import calendar
import math
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from PIL import ExifTags, Image

from retrieval.spec.errors import PhotoError
from retrieval.vision.decode import SIDEWAYS, is_video_name
from retrieval.vision.formats import RAW_INSTALLED, RAW_SUFFIXES, read_header
from retrieval.vision.members import open_file

_DATE = re.compile(r"(\d{4})\D(\d\d)\D(\d\d)\D(\d\d)\D(\d\d)\D(\d\d)")
# Longer texts are not a camera's name but something else that ended up in its field.
_LONGEST_CAMERA = 100
# Photography is not older; a camera whose clock was never set says 0000 or 1904.
_FIRST_YEAR = 1905


@dataclass(frozen=True, slots=True)
class FileDetails:
    """What a file's header and metadata say; None where they say nothing that makes sense."""

    width: int | None = None
    """Pixels, upright."""
    height: int | None = None
    taken_at: int | None = None
    """What the camera's clock showed, as seconds since 1970 of that wall clock."""
    camera: str | None = None
    """Maker and model, as one text."""
    latitude: float | None = None
    """Degrees, north positive."""
    longitude: float | None = None
    """Degrees, east positive."""
    duration_ms: int | None = None
    """Of a video."""


def read_details(path: Path) -> FileDetails:
    """Read header and EXIF of a photo, or what a video says instead.

    Broken metadata is common in photos that are otherwise whole, so nothing that a file
    contains raises anything: what cannot be read is None.

    Args:
        path: As for `open_photo`.

    Raises:
        OSError: The system refuses to read the file.
    """
    if is_video_name(path):
        return _video_details(path)
    with open_file(path) as stream:
        try:
            found = _header(path, stream)
            return FileDetails() if found is None else _details(*found)
        except Exception:
            # As many kinds of errors as Pillow's plugins know; all mean the same here.
            return FileDetails()


def _video_details(path: Path) -> FileDetails:
    path.stat()
    try:
        from retrieval.vision.video_details import read_video_details

        return read_video_details(path)
    except PhotoError as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from error
        return FileDetails()


def _header(path: Path, stream: BinaryIO) -> tuple[tuple[int, int], Image.Exif] | None:
    """Width and height as stored, and metadata; None if this is no photo."""
    if path.suffix.lower() in RAW_SUFFIXES:
        if not RAW_INSTALLED:
            return None
        from retrieval.vision.raw import read_raw_header

        return read_raw_header(stream)
    photo = read_header(stream)
    return None if photo is None else (photo.size, _exif_of(photo))


def _details(size: tuple[int, int], exif: Image.Exif) -> FileDetails:
    width, height = size
    if exif.get(ExifTags.Base.Orientation) in SIDEWAYS:
        width, height = height, width
    # A TIFF's parts are read from its file only now.
    camera_data = _part(exif, ExifTags.IFD.Exif)
    latitude, longitude = _place(_part(exif, ExifTags.IFD.GPSInfo))
    return FileDetails(
        width=width,
        height=height,
        taken_at=_taken_at(camera_data, exif),
        camera=camera_name(exif.get(ExifTags.Base.Make), exif.get(ExifTags.Base.Model)),
        latitude=latitude,
        longitude=longitude,
    )


def _exif_of(photo: Image.Image) -> Image.Exif:
    try:
        return photo.getexif()
    except Exception:
        return Image.Exif()


def _part(exif: Image.Exif, which: ExifTags.IFD) -> dict[int, Any]:
    try:
        return dict(exif.get_ifd(which))
    except Exception:
        return {}


def _taken_at(camera_data: dict[int, Any], exif: Image.Exif) -> int | None:
    for value in (
        camera_data.get(ExifTags.Base.DateTimeOriginal),
        camera_data.get(ExifTags.Base.DateTimeDigitized),
        exif.get(ExifTags.Base.DateTime),
    ):
        found = _DATE.match(_text(value))
        if found is None:
            continue
        date = " ".join(found.groups())
        try:
            moment = time.strptime(date, "%Y %m %d %H %M %S")
        except ValueError:
            continue
        if moment.tm_year >= _FIRST_YEAR:
            return calendar.timegm(moment)
    return None


def camera_name(given_maker: object, given_model: object) -> str | None:
    """Maker and model as one text; None if both are empty or no text."""
    maker, model = _text(given_maker), _text(given_model)
    # Many makers repeat themselves: Canon, Canon EOS R5.
    repeated = bool(maker) and model.lower().startswith(maker.lower())
    name = model if repeated else f"{maker} {model}".strip()
    return name[:_LONGEST_CAMERA] or None


def _place(gps: dict[int, Any]) -> tuple[float, float] | tuple[None, None]:
    latitude = _degrees(gps, ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef, "S", 90)
    longitude = _degrees(gps, ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef, "W", 180)
    # Receivers without a fix write zeros, and nobody took photos on that spot of the ocean.
    if latitude is None or longitude is None or (latitude, longitude) == (0.0, 0.0):
        return None, None
    return latitude, longitude


def _degrees(gps: dict[int, Any], tag: int, sign: int, negative: str, limit: int) -> float | None:
    try:
        degrees, minutes, seconds = (float(part) for part in gps[tag])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    if not (math.isfinite(value) and 0 <= value <= limit):
        return None
    return -value if _text(gps.get(sign)).upper() == negative else value


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(value, str):
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())

"""RAW files of cameras: the picture that the camera embedded, else a quick development.

For finding a photo the camera's own picture serves better than a development of ours, and it
is a hundred times faster. LibRaw finds it in every maker's format.
"""

from io import BytesIO
from typing import BinaryIO

import rawpy
from PIL import ExifTags, Image

from retrieval.vision.formats import read_header

# Short side of what cameras embed for their own screens; smaller ones are icons.
_ENOUGH = 1000
# LibRaw's turns, in EXIF's numbers.
_ORIENTATIONS = {0: 1, 3: 3, 5: 8, 6: 6}
_SIDEWAYS = (6, 8)
_TIFF = (b"II*\0", b"MM\0*")
# What LibRaw puts in as the program when a picture has no metadata and it writes some.
_BY_LIBRAW = "dcraw"


def embedded_picture(
    stream: BinaryIO, *, target: int | None, max_pixels: int
) -> Image.Image | None:
    """The embedded picture, not yet decoded if it is a JPEG; None if this is no RAW file.

    Its orientation stands in its EXIF. Where there is none, or none large enough, the sensor's
    data are developed at half of their size.

    Args:
        stream: The file.
        target: Pixels that the short side should have at least.
        max_pixels: Sensors with more than that are not developed.

    Raises:
        ValueError: There is no picture, and the sensor's data cannot be developed.
    """
    try:
        with rawpy.imread(stream) as raw:
            picture = _embedded(raw)
            wanted = min(target or _ENOUGH, _ENOUGH, raw.sizes.width, raw.sizes.height)
            if picture is not None and min(picture.size) >= wanted:
                return picture
            return _developed(raw, picture, max_pixels)
    except rawpy.LibRawError:
        return None


def read_raw_header(stream: BinaryIO) -> tuple[tuple[int, int], Image.Exif] | None:
    """Width and height of the sensor's picture and its metadata; None if this is no RAW file.

    The size is the one before turning.
    """
    try:
        with rawpy.imread(stream) as raw:
            size = raw.sizes.width, raw.sizes.height
            orientation = _ORIENTATIONS.get(raw.sizes.flip, 1)
            picture = _embedded(raw)
    except rawpy.LibRawError:
        return None
    exif = _own_metadata(stream)
    if exif is None:
        exif = Image.Exif() if picture is None else picture.getexif()
        if str(exif.get(ExifTags.Base.Software, "")).startswith(_BY_LIBRAW):
            # It writes the letters for north and south wrongly.
            exif.get_ifd(ExifTags.IFD.GPSInfo).clear()
    exif[ExifTags.Base.Orientation] = orientation
    return size, exif


def _own_metadata(stream: BinaryIO) -> Image.Exif | None:
    """Of files that are TIFF files, too."""
    stream.seek(0)
    if stream.read(4) not in _TIFF:
        return None
    stream.seek(0)
    exif = Image.Exif()
    exif.load_from_fp(stream)
    return exif


def _embedded(raw: rawpy.RawPy) -> Image.Image | None:
    try:
        found = raw.extract_thumb()
    except rawpy.LibRawError:
        return None
    orientation = _ORIENTATIONS.get(raw.sizes.flip, 1)
    if not isinstance(found.data, bytes):
        picture = Image.fromarray(found.data)
        picture.getexif()[ExifTags.Base.Orientation] = orientation
        return picture
    jpeg = read_header(BytesIO(found.data))
    # Some cameras embed it turned already.
    if jpeg is not None and orientation in _SIDEWAYS and _turned(jpeg, raw):
        jpeg.getexif()[ExifTags.Base.Orientation] = 1
    return jpeg


def _turned(picture: Image.Image, raw: rawpy.RawPy) -> bool:
    return (picture.width > picture.height) != (raw.sizes.width > raw.sizes.height)


def _developed(raw: rawpy.RawPy, smaller: Image.Image | None, max_pixels: int) -> Image.Image:
    """The sensor's data at half of their size, else the picture that was too small."""
    width, height = raw.sizes.raw_width, raw.sizes.raw_height
    # Developing without a turn changes what is said of it.
    orientation = _ORIENTATIONS.get(raw.sizes.flip, 1)
    try:
        if width * height > max_pixels:
            raise ValueError(f"its sensor has {width} x {height} pixels, which are too many")
        pixels = raw.postprocess(half_size=True, use_camera_wb=True, user_flip=0)
    except (rawpy.LibRawError, ValueError) as error:
        if smaller is not None:
            return smaller
        [reason] = error.args
        raise ValueError(reason.decode() if isinstance(reason, bytes) else reason) from error
    # Some cameras see no colours.
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    picture.getexif()[ExifTags.Base.Orientation] = orientation
    return picture

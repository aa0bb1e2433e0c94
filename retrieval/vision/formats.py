"""The formats that are read, and how a file's is recognised."""

import struct
from importlib import import_module
from importlib.util import find_spec
from typing import BinaryIO

from PIL import Image

HEIF_SUFFIXES = frozenset({".heic", ".heif"})
HEIF_INSTALLED = find_spec("pillow_heif") is not None
RAW_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".mrw", ".nef", ".nrw"}
    | {".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srw", ".x3f"}
)
RAW_INSTALLED = find_spec("rawpy") is not None
VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})
VIDEO_INSTALLED = find_spec("av") is not None
_PLUGINS = {
    "JPEG": "PIL.JpegImagePlugin",
    "PNG": "PIL.PngImagePlugin",
    "WEBP": "PIL.WebPImagePlugin",
    "AVIF": "PIL.AvifImagePlugin",
    "GIF": "PIL.GifImagePlugin",
    "TIFF": "PIL.TiffImagePlugin",
    "BMP": "PIL.BmpImagePlugin",
}


def read_header(stream: BinaryIO) -> Image.Image | None:
    """A photo whose size is known and whose pixels are not yet decoded; None if it is none.

    This stands in for `PIL.Image.open`, whose limit on pixels is one for the whole process
    and lies below what phones make, and which loads every plugin at the first WebP.
    """
    prefix = stream.read(16)
    for name, plugin in _PLUGINS.items():
        import_module(plugin)
        if (photo := _opened(name, stream, prefix)) is not None:
            return photo
    if HEIF_INSTALLED and prefix[4:8] == b"ftyp":
        import_module("pillow_heif").register_heif_opener()
        return _opened("HEIF", stream, prefix)
    return None


def _opened(name: str, stream: BinaryIO, prefix: bytes) -> Image.Image | None:
    factory, accepts = Image.OPEN[name]
    # A plugin whose library is missing answers with a sentence instead of a yes.
    if accepts is not None and accepts(prefix) is not True:
        return None
    stream.seek(0)
    try:
        return factory(stream, "")
    except (SyntaxError, IndexError, TypeError, struct.error):
        # How a plugin says that the file is not of its format after all.
        return None

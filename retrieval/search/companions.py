"""Files that show what a photo beside them shows: RAW files, and the videos of Live Photos.

A camera that keeps both writes ``IMG_1.CR3`` beside ``IMG_1.JPG``, a phone ``IMG_1.MOV`` beside
``IMG_1.HEIC``. The JPEG or HEIC stands for them, as in the camera's own gallery.
"""

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from retrieval.catalog.records import PhotoFile
from retrieval.vision.formats import HEIF_SUFFIXES, RAW_SUFFIXES

_PHOTOS = HEIF_SUFFIXES | {".jpeg", ".jpg"}
_LIVE_VIDEO = ".mov"
_SUFFIXES = _PHOTOS | RAW_SUFFIXES | {_LIVE_VIDEO}
# The three seconds of a Live Photo take some megabytes. A film is larger, and may have the
# name of a photo by chance, where the files of two cameras were put together.
MOST_LIVE_BYTES = 20_000_000


def without_companions(
    files: Sequence[PhotoFile], is_damaged: Callable[[PhotoFile], bool]
) -> list[PhotoFile]:
    """The files that are left when a photo stands for those that accompany it.

    Args:
        files: Everything that may be read, of any number of folders.
        is_damaged: Whether a photo is known to be damaged; such a one stands for nothing.
    """
    accompanying = {file for file in files if _may_accompany(file)}
    if not accompanying:
        return list(files)
    stems = {_stem(file.path) for file in accompanying}
    shown = {
        stem
        for file in files
        if _suffix(file.path) in _PHOTOS
        and (stem := _stem(file.path)) in stems
        and not is_damaged(file)
    }
    return [file for file in files if file not in accompanying or _stem(file.path) not in shown]


def beside(names: Iterable[str], changed: Collection[str]) -> set[str]:
    """Of the names in a folder, those that may belong together with ``changed`` ones."""
    stems = {_stem(name) for name in changed if _suffix(name) in _SUFFIXES}
    return {name for name in names if _stem(name) in stems and _suffix(name) in _SUFFIXES}


def _may_accompany(file: PhotoFile) -> bool:
    suffix = _suffix(file.path)
    return suffix in RAW_SUFFIXES or (suffix == _LIVE_VIDEO and file.size <= MOST_LIVE_BYTES)


def _stem(path: Path | str) -> str:
    return os.path.splitext(path)[0]  # noqa: PTH122  (pathlib's would be another object each)


def _suffix(path: Path | str) -> str:
    return os.path.splitext(path)[1].lower()  # noqa: PTH122

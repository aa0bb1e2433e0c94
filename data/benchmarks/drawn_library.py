"""A large library that nobody photographed, made through leanclip's own classes in seconds.

Its files are empty but have names, dates and types; their catalog and vectors are as
`leanclip index` would have left them. So it is searched, filtered and looked through as any
other, and only decoding would find out.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from vector_search import draw

from retrieval.catalog.catalog import CATALOG_FILE, Catalog
from retrieval.catalog.records import PhotoDetails, PhotoFile
from retrieval.encode.protocol import Encoder
from retrieval.search.upkeep.files import vector_file

TYPES = ("jpeg", "png", "webp", "gif", "tiff", "bmp")
TRIPS, FIRST, _YEARS = 400, 2001, 25
_SUFFIXES = {"jpeg": "jpg", "tiff": "tif"}


@dataclass(frozen=True, slots=True)
class Photo:
    """What the plain script knows of a photo."""

    path: Path
    taken_at: int
    type: str


def make_library(
    folder: Path, count: int, encoder: Encoder, model: str
) -> tuple[list[Photo], np.ndarray]:
    """Make files, their catalog and their vectors; the vectors come back as stored.

    Args:
        folder: Gets ``photos`` and ``home``.
        count: How many.
        encoder: Of the model that the library is searched with.
        model: Its name, as the catalog notes it.
    """
    vectors = draw(count, encoder.dim, seed=2)
    known = []
    with Catalog.open(folder / "home" / CATALOG_FILE) as catalog:
        space = catalog.ensure_space(encoder.fingerprint, encoder.name, model, encoder.dim)
        file = vector_file(folder / "home", space)
        file.append(vectors, at=0)
        with catalog.writing():
            for row in range(count):
                photo = _made(folder / "photos", row, count)
                known.append(photo)
                # One in five carries no date, as screenshots do; its file has one.
                details = PhotoDetails(taken_at=photo.taken_at if row % 5 else None)
                found = PhotoFile(photo.path, 0, photo.taken_at * 10**9)
                catalog.record_photo(found, space, row, details=details)
        catalog.mark_if_whole(space)
    return known, np.array(file.read(count))


def _made(folder: Path, row: int, count: int) -> Photo:
    year = FIRST + row * _YEARS // count
    kind = TYPES[0] if row % 3 else TYPES[row // 3 % len(TYPES)]
    name = f"{year}/trip {row % TRIPS:03}/IMG_{row:07}.{_SUFFIXES.get(kind, kind)}"
    taken_at = int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) + row * 7919 % (360 * 86_400)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (taken_at, taken_at))
    return Photo(path, taken_at, kind)

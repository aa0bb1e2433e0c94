"""Photos of the catalog by their ids: the only way from a request to a file."""

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from retrieval.catalog.catalog import Catalog
from retrieval.catalog.filters import DATED
from retrieval.catalog.records import to_path
from retrieval.vision.decode import is_video_name
from retrieval.web.errors import GoneError

_COLUMNS = (
    f"id, path, size, mtime_ns, width, height, taken_at, {DATED}, "
    "camera, latitude, longitude, duration_ms"
)
# SQLite takes a limited number of values for one statement.
_VARIABLES = 10_000


@dataclass(frozen=True, slots=True)
class CataloguedPhoto:
    """What the catalog knows of one photo."""

    id: int
    path: Path
    size: int
    """Bytes."""
    mtime_ns: int
    width: int | None
    height: int | None
    taken_at: int | None
    """Wall-clock seconds since 1970, where the photo says so."""
    dated: int
    """`taken_at`, or when the file was last changed."""
    camera: str | None
    latitude: float | None
    longitude: float | None
    duration_ms: int | None

    @property
    def is_video(self) -> bool:
        """Whether it is played."""
        return is_video_name(self.path)

    @property
    def version(self) -> str:
        """Changes with the file's content, so that browsers may keep what they were given."""
        return hashlib.blake2b(f"{self.size} {self.mtime_ns}".encode(), digest_size=6).hexdigest()

    def is_there(self) -> bool:
        """Whether the file still is the one that was catalogued."""
        try:
            return self._is(self.path.stat())
        except OSError:
            return False

    def open(self) -> BinaryIO:
        """Open the file that was catalogued, and no other.

        A name may have come to mean something else since: a link to a private file, a pipe, a
        photo that was edited. What is opened is compared, not what the name says, so nothing
        can be swapped in between.

        Raises:
            GoneError: It is gone, cannot be read, or is another file now.
        """
        # Opening a pipe would wait for ever, and Windows would translate line ends.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(self.path, flags)
        except OSError as error:
            raise GoneError(f"the photo can no longer be read: {error.strerror}") from error
        if not self._is(os.fstat(descriptor)):
            os.close(descriptor)
            raise GoneError("the file has changed since it was indexed; index it again")
        return os.fdopen(descriptor, "rb")

    def _is(self, found: os.stat_result) -> bool:
        # By size and time, as `KnownPhoto.is_same_as` tells a catalogued file.
        same = (found.st_size, found.st_mtime_ns) == (self.size, self.mtime_ns)
        return same and stat.S_ISREG(found.st_mode)


def photos_by_id(catalog: Catalog, ids: Sequence[int]) -> dict[int, CataloguedPhoto]:
    """Those of the photos that the catalog has and has not seen vanish."""
    found = []
    for start in range(0, len(ids), _VARIABLES):
        some = ids[start : start + _VARIABLES]
        found += catalog.read(
            f"SELECT {_COLUMNS} FROM photos WHERE state = 'ready' AND gone_at IS NULL "
            f"AND id IN ({','.join('?' * len(some))})",
            *some,
        )
    return {id: CataloguedPhoto(id, to_path(path), *rest) for id, path, *rest in found}


def photo_by_id(catalog: Catalog, photo_id: int) -> CataloguedPhoto:
    """One photo.

    Raises:
        GoneError: The catalog has none of this id, or saw it vanish.
    """
    found = photos_by_id(catalog, [photo_id])
    if photo_id not in found:
        raise GoneError("there is no such photo in this library")
    return found[photo_id]


def check_moment(catalog: Catalog, photo_id: int, moment_ms: int) -> None:
    """Refuse a moment of a video that no search can have found.

    Pictures of any others would let a visitor fill the disk, a millisecond at a time.

    Raises:
        GoneError: The video is not indexed by a picture of this moment.
    """
    if not catalog.read(
        "SELECT 1 FROM vectors WHERE photo_id = ? AND moment_ms = ?", photo_id, moment_ms
    ):
        raise GoneError("no such moment of a video is in this library")


def checked_path(catalog: Catalog, photo_id: int) -> Path:
    """Where a photo lies, if its file still is the one that was catalogued.

    Raises:
        GoneError: It is not.
    """
    photo = photo_by_id(catalog, photo_id)
    photo.open().close()
    return photo.path

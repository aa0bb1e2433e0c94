"""Photos as one zip file that is sent while it is made."""

import io
import zipfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from retrieval.spec.readable import readable
from retrieval.web.errors import GoneError
from retrieval.web.names import ZipNames
from retrieval.web.photos import CataloguedPhoto

if TYPE_CHECKING:
    from typing_extensions import Buffer

_CHUNK = 1 << 18
_MISSING = "missing photos.txt"
# The years that a zip file can say.
_FIRST, _LAST = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)


def zipped(photos: Sequence[CataloguedPhoto]) -> Iterator[bytes]:
    """The bytes of a zip of ``photos``, whose memory does not grow with their number.

    Photos are compressed already and are stored as they are. Those that are gone are named in
    a text file at the end, since the answer has long begun when that is seen.
    """
    sink = _Sink()
    names = ZipNames()
    missing = []
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for photo in photos:
            entry = zipfile.ZipInfo(names.name(photo.path), _moment(photo.dated))
            try:
                stream = photo.open()
            except GoneError:
                missing.append(readable(photo.path.name))
                continue
            entry.file_size = photo.size
            with stream, archive.open(entry, "w", force_zip64=photo.size >= 1 << 31) as target:
                # No more than was catalogued, even if the file is being written to.
                left = photo.size
                while left and (chunk := stream.read(min(_CHUNK, left))):
                    left -= len(chunk)
                    target.write(chunk)
                    yield sink.taken()
            yield sink.taken()
        if missing:
            archive.writestr(_MISSING, "".join(f"{name}\n" for name in missing))
    yield sink.taken()


def _moment(seconds: int) -> tuple[int, int, int, int, int, int]:
    try:
        moment = datetime.fromtimestamp(seconds, UTC).timetuple()[:6]
    except (ValueError, OverflowError, OSError):
        return _FIRST
    return min(max(moment, _FIRST), _LAST)


class _Sink(io.RawIOBase):
    """A file that cannot be sought in, and that is emptied after each piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: "Buffer", /) -> int:
        self._pieces.append(bytes(piece))
        return len(self._pieces[-1])

    def taken(self) -> bytes:
        """What was written since the last time."""
        joined = b"".join(self._pieces)
        self._pieces.clear()
        return joined

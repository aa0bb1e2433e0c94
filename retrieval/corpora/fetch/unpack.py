"""Photos out of an archive: only those that are wanted, only those that are not there yet."""

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from retrieval.corpora.fetch.download import PART
from retrieval.spec.errors import CorpusError

Progress = Callable[[int], None]
"""Called with the number of photos that were found so far."""


def unpack_photos(
    archive: Path, folder: Path, wanted: Mapping[str, str], *, progress: Progress
) -> int:
    """Copy photos out of a zip or tar file; what is there in full size is left alone.

    Nothing is written outside the paths of ``wanted``, whatever the archive's names say.

    Args:
        archive: ``.zip``, or tar in any compression that Python reads.
        folder: Where paths of photos count from.
        wanted: Path below ``folder`` by the end of the member's path: its name, or its
            folder and name (``train2014/x.jpg``).
        progress: Told after each photo.

    Returns:
        How many wanted photos the archive had.

    Raises:
        CorpusError: It is neither a zip nor a tar file, or it is damaged.
    """
    found = 0
    try:
        with _members(archive) as members:
            for name, size, opened in members:
                target = _target(name, wanted)
                if target is None:
                    continue
                _copy(folder / target, size, opened)
                found += 1
                progress(found)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
        raise CorpusError(f"{archive} is damaged ({error}); get it again") from error
    return found


_Member = tuple[str, int, Callable[[], IO[bytes]]]


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[_Member]]:
    """Name, bytes and a way to open each file of an archive, in its order."""
    if not archive.is_file():
        raise CorpusError(f"{archive}: no such file")
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            yield (
                (one.filename, one.file_size, partial(packed.open, one))
                for one in packed.infolist()
                if not one.is_dir()
            )
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as rolled:
            yield (
                (one.name, one.size, partial(_content, rolled, one))
                for one in rolled
                if one.isfile()
            )
    else:
        raise CorpusError(f"{archive} is neither a zip nor a tar file; is the download whole?")


def _content(rolled: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = rolled.extractfile(member)
    assert content is not None
    return content


def _target(name: str, wanted: Mapping[str, str]) -> str | None:
    path = PurePosixPath(name)
    return wanted.get("/".join(path.parts[-2:])) or wanted.get(path.name)


def _copy(target: Path, size: int, opened: Callable[[], IO[bytes]]) -> None:
    if target.is_file() and target.stat().st_size == size:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not `replacing`: waiting for the disk after each of a hundred thousand photos takes hours,
    # and the size tells a torn one.
    temporary = target.with_name(target.name + PART)
    try:
        with opened() as source, temporary.open("wb") as stream:
            shutil.copyfileobj(source, stream)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)

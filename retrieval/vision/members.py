"""Files inside tar files, addressed as if the tar file were a folder: ``shard.tar/0001.jpg``.

Members of an uncompressed tar file lie in it as they are, so that where one begins and how
long it is are all that is needed to read it, in any order and from any thread.
"""

import io
import os
import tarfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from retrieval.spec.errors import CorpusError
from retrieval.spec.reasons import in_one_line

TAR = ".tar"

_BLOCK = 512


class Member(NamedTuple):
    """Where a member lies in its tar file, in bytes."""

    offset: int
    size: int


class FileState(NamedTuple):
    """By what an unchanged file is recognised."""

    bytes: int
    mtime_ns: int


def member_of(path: Path) -> tuple[Path, str] | None:
    """The tar file and the name inside it; None for a path that leads into no tar file."""
    if f"{TAR}{os.sep}" not in str(path):
        return None
    for folder in path.parents:
        if folder.suffix == TAR and folder.is_file():
            return folder, path.relative_to(folder).as_posix()
    return None


def open_file(path: Path) -> BinaryIO:
    """Open a file, or a member of a tar file, for reading.

    Raises:
        OSError: There is no such file or member, or it cannot be read.
        CorpusError: The tar file is damaged.
    """
    inside = member_of(path)
    if inside is None:
        return path.open("rb")
    tar, _ = inside
    member = _find(path, *inside)
    with tar.open("rb") as stream:
        stream.seek(member.offset)
        content = stream.read(member.size)
    if len(content) < member.size:
        raise _damaged(tar, "it ends in the middle of a member")
    return io.BytesIO(content)


def file_state(path: Path) -> FileState:
    """Size of a file or of a member of a tar file, and when the file last changed.

    Raises:
        OSError: There is no such file or member.
        CorpusError: The tar file is damaged.
    """
    inside = member_of(path)
    found = (path if inside is None else inside[0]).stat()
    size = found.st_size if inside is None else _find(path, *inside).size
    return FileState(size, found.st_mtime_ns)


def members(tar: Path) -> Mapping[str, Member]:
    """Regular files of an uncompressed tar file by name, in its order.

    Read once; only headers are read, not what lies between them.

    Raises:
        CorpusError: The file is missing, compressed, damaged or cut off.
    """
    try:
        found = tar.stat()
    except OSError as error:
        raise CorpusError(f"{tar}: {error.strerror}") from error
    return _indexed(tar, found.st_size, found.st_mtime_ns)


@cache
def _indexed(tar: Path, size: int, mtime_ns: int) -> Mapping[str, Member]:
    index: dict[str, Member] = {}
    end = 0
    try:
        with tarfile.open(tar, "r:") as archive:
            for one in archive:
                end = one.offset_data + (-(-one.size // _BLOCK) * _BLOCK if one.isreg() else 0)
                if one.isreg():
                    name = str(PurePosixPath(one.name)).lstrip("/")
                    if name in index:
                        raise _damaged(tar, f"it has two members {name}")
                    index[name] = Member(one.offset_data, one.size)
        with tar.open("rb") as stream:
            stream.seek(end)
            closing = stream.read(_BLOCK)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise _damaged(tar, in_one_line(error)) from error
    # Python's reader takes a damaged header in the middle for the end of the archive.
    if closing != bytes(_BLOCK):
        raise _damaged(tar, f"what follows byte {end} is neither a member nor the end")
    return index


def _find(path: Path, tar: Path, name: str) -> Member:
    member = members(tar).get(name)
    if member is None:
        raise FileNotFoundError(2, "No such member of the tar file", str(path))
    return member


def _damaged(tar: Path, reason: str) -> CorpusError:
    return CorpusError(
        f"{tar} is not a whole, uncompressed tar file ({reason}); copy or write it again"
    )

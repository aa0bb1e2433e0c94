"""Download a file so that a broken connection costs only what was on the wire."""

import http.client
import io
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final

from retrieval.corpora.fetch.datasets import Source
from retrieval.spec.errors import CorpusError
from retrieval.spec.files import sha256_file

PART: Final = ".part"
"""What the name of an unfinished download ends in."""

_BLOCK = 1 << 20
_TIMEOUT_SECONDS = 60.0
_ATTEMPTS = 5
_PARTIAL = 206
_BEYOND_THE_END = 416
_FIRST_SERVER_ERROR = 500

Progress = Callable[[int], None]
"""Called with the bytes that are there so far."""


def download(source: Source, target: Path, *, progress: Progress, pause: float = 1.0) -> None:
    """Bring a file to ``target`` and check its hash; nothing is fetched twice.

    What has arrived lies in ``target.part``. A connection that breaks is opened again from
    there (HTTP Range), and so is a download that an earlier run left.

    Args:
        source: Address, bytes and hash.
        target: Appears only when it is whole and right.
        progress: Told after each block.
        pause: Seconds before the second attempt; doubled before each further one.

    Raises:
        CorpusError: There is no route to the server, it refuses, the disk is full, or the
            file has another hash than it should.
    """
    part = target.with_name(target.name + PART)
    part.parent.mkdir(parents=True, exist_ok=True)
    _require_space(source, part)
    for attempt in range(_ATTEMPTS):
        before = _size(part)
        reason = _fetch(source, part, progress)
        if reason is None:
            break
        if attempt + 1 == _ATTEMPTS:
            raise CorpusError(
                f"{source.url}: {reason}; {_size(part):,} of {source.bytes:,} bytes are kept in "
                f"{part}, run it again to go on from there"
            )
        # A line that moves is worth waiting for, however often it breaks.
        time.sleep(pause * 2 ** (0 if _size(part) > before else attempt))
    check(source, part, remove=True)
    part.replace(target)


def check(source: Source, path: Path, *, remove: bool = False) -> None:
    """Refuse a file that is not what its source says.

    Args:
        source: The hash that it should have.
        path: The file.
        remove: Also delete it then, so that the next run starts anew.

    Raises:
        CorpusError: It has another hash.
    """
    found = sha256_file(path)
    if found == source.sha256:
        return
    if remove:
        path.unlink()
    done = "it was removed, run it again to download it anew" if remove else "download it anew"
    raise CorpusError(
        f"{path}: its SHA-256 is {found}, and {source.name} should have {source.sha256}; {done}"
    )


def _fetch(source: Source, part: Path, progress: Progress) -> str | None:
    """Get what is missing; None when all is there, else why it is not.

    Raises:
        CorpusError: Trying again would not help.
    """
    if _size(part) > source.bytes:
        part.unlink()
    if _size(part) == source.bytes:
        return None
    request = urllib.request.Request(source.url, headers={"User-Agent": "leanclip"})
    if _size(part):
        request.add_header("Range", f"bytes={_size(part)}-")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
            # A server that knows no ranges sends everything from the start.
            mode = "ab" if answer.status == _PARTIAL else "wb"
            _write(answer, part, mode, source, progress)
    except urllib.error.HTTPError as error:
        if error.code == _BEYOND_THE_END:
            part.unlink(missing_ok=True)
        elif error.code < _FIRST_SERVER_ERROR:
            raise CorpusError(
                f"{source.url}: the server answers {error.code} {error.reason}"
            ) from error
        return f"the server answers {error.code} {error.reason}"
    except urllib.error.URLError as error:
        return f"no connection ({error.reason})"
    except (http.client.HTTPException, OSError) as error:
        return f"the connection broke ({error})"
    return None if _size(part) == source.bytes else "the connection ended early"


def _write(
    answer: http.client.HTTPResponse, part: Path, mode: str, source: Source, progress: Progress
) -> None:
    with _opened(part, mode) as stream:
        while block := answer.read(_BLOCK):
            rest = memoryview(block)
            try:
                while rest:
                    rest = rest[stream.write(rest) :]
            except OSError as error:
                raise _full(part, error) from error
            progress(stream.tell())
            if stream.tell() > source.bytes:
                raise CorpusError(
                    f"{source.url}: sends more than the {source.bytes:,} bytes that it should; "
                    "it is another file now"
                )


def _opened(part: Path, mode: str) -> io.FileIO:
    try:
        # Without a buffer, so that a full disk shows at the block that does not fit.
        return io.FileIO(part, mode)
    except OSError as error:
        raise _full(part, error) from error


def _full(part: Path, error: OSError) -> CorpusError:
    return CorpusError(
        f"{part}: {error.strerror or error}; once that is mended, run it again and it goes on"
    )


def _require_space(source: Source, part: Path) -> None:
    missing = source.bytes - _size(part)
    free = shutil.disk_usage(part.parent).free
    if missing > free:
        raise CorpusError(
            f"{part.parent}: {source.name} needs another {missing / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB are free; free some space or choose another folder"
        )


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0

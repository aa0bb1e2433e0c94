"""One file over HTTP, so that a broken connection costs only what was on the wire."""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import IO

from retrieval.transfer.errors import AbsentError, TransferError

ATTEMPTS = 5
"""Connections that may break one after the other, none of them having brought anything."""

Progress = Callable[[int], None]
"""Called with the bytes of the file that are there so far."""

_BLOCK = 1 << 18
_TIMEOUT_SECONDS = 60.0
_PARTIAL, _BEYOND_THE_END, _TOO_MANY, _SERVER_ERROR = 206, 416, 429, 500
_LOGIN, _FORBIDDEN, _ABSENT = 401, 403, 404


class _BrokenError(Exception):
    """The connection ended too early; another one may go on from there."""


class SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to http."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if req.type == "https" and not newurl.lower().startswith("https:"):
            raise TransferError(f"{req.full_url} leads to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(SafeRedirects)


def transfer(
    address: str,
    target: Path,
    *,
    most: int,
    exact: bool = False,
    progress: Progress = lambda done: None,
    pause: float = 1.0,
) -> None:
    """Bring a file to ``target``, going on from what an earlier run left there.

    Nothing is known of its content after that but its length: check its hash.

    Args:
        address: An http or https address.
        target: File that grows; its folder exists.
        most: Bytes that it may have.
        exact: Whether it must have just so many; when they are there, nothing is asked.
        progress: Told after each block.
        pause: Seconds before a connection is opened again; doubled each time that brings nothing.

    Raises:
        AbsentError: The server has no such file.
        TransferError: There is no connection, the server refuses, the file has another length,
            or the disk is full. What has come stays, but for a file of another length.
    """
    if _size(target) > most:
        target.unlink()
    if exact and target.exists() and _size(target) == most:
        return
    found = _insist(address, target, most, exact, progress, pause)
    if found > most or (exact and found < most):
        target.unlink()
        than = "more" if found > most else "fewer"
        raise TransferError(
            f"{address} has {than} than the {most:,} bytes that it should: it is another file"
        )


def _insist(
    address: str, target: Path, most: int, exact: bool, progress: Progress, pause: float
) -> int:
    """Receive until no connection breaks; the bytes that are there then."""
    furthest, idle = _size(target), 0
    while True:
        try:
            return _receive(address, target, most, exact, progress)
        except (_BrokenError, http.client.HTTPException, OSError) as error:
            # A line that moves is worth waiting for, however often it breaks.
            idle = 0 if _size(target) > furthest else idle + 1
            furthest = max(furthest, _size(target))
            if idle == ATTEMPTS:
                raise _given_up(address, target, most if exact else None, error) from error
            time.sleep(pause * 2 ** max(0, idle - 1))


def _receive(address: str, target: Path, most: int, exact: bool, progress: Progress) -> int:
    """Get what is missing; the bytes that are there then."""
    start = _size(target)
    request = urllib.request.Request(address, headers={"User-Agent": "leanclip"})
    # Else some servers compress what they send, and a part of that is of no use.
    request.add_header("Accept-Encoding", "identity")
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        answer = _OPENER.open(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        with error:
            return _refused(error, address, target)
    except urllib.error.URLError as error:
        if start == 0:
            raise TransferError(
                f"{address}: no connection ({_reason(error)}); if this machine is offline, "
                "run it again later"
            ) from error
        raise
    with answer:
        goes_on = answer.status == _PARTIAL and _first_byte(answer) == start
        if answer.status == _PARTIAL and not goes_on:
            target.unlink()
            raise _BrokenError("the server sent another part than was asked for")
        # A server that knows no ranges sends everything from the start.
        start = start if goes_on else 0
        length = answer.headers.get("Content-Length")
        # A server may leave the length out; a connection that broke looks whole then.
        least = start + int(length) if length and length.isdigit() else most if exact else 0
        with _opened(target, "a" if goes_on else "w") as stream:
            _write(answer, stream, target, most, progress)
    found = _size(target)
    if found < min(least, most + 1):
        raise _BrokenError("the connection ended early")
    return found


def _refused(error: urllib.error.HTTPError, address: str, target: Path) -> int:
    if error.code == _BEYOND_THE_END:
        total = str(error.headers.get("Content-Range", "")).rpartition("/")[2]
        if total == str(_size(target)):
            return _size(target)
        target.unlink()
        raise _BrokenError("the server's file is shorter than what is here") from error
    said = f"the server answers {error.code} {error.reason}".rstrip()
    if error.code == _ABSENT:
        raise AbsentError(f"{address}: {said}") from error
    if error.code >= _SERVER_ERROR or error.code == _TOO_MANY:
        raise _BrokenError(said) from error
    login = error.code in (_LOGIN, _FORBIDDEN)
    advice = "; what lies behind a login cannot be fetched" if login else ""
    raise TransferError(f"{address}: {said}{advice}") from error


def _given_up(address: str, target: Path, whole: int | None, error: BaseException) -> TransferError:
    kept = f"{_size(target):,}" + (f" of {whole:,}" if whole is not None else "")
    return TransferError(
        f"{address}: {_reason(error)}; {kept} bytes are kept in {target}, "
        "run it again to go on from there"
    )


def _write(
    answer: http.client.HTTPResponse, stream: FileIO, target: Path, most: int, progress: Progress
) -> None:
    while (done := stream.tell()) <= most and (block := answer.read(_BLOCK)):
        rest = memoryview(block)
        try:
            # A disk that is nearly full may take a part and say nothing.
            while rest:
                rest = rest[stream.write(rest) :]
        except OSError as error:
            raise _full(target, error) from error
        progress(done + len(block))


def _opened(target: Path, mode: str) -> FileIO:
    try:
        # It has no buffer, so that a full disk shows at the block that does not fit.
        return FileIO(target, mode)
    except OSError as error:
        raise _full(target, error) from error


def _full(target: Path, error: OSError) -> TransferError:
    return TransferError(
        f"{target}: {error.strerror or error}; once that is mended, run it again to go on"
    )


def _first_byte(answer: http.client.HTTPResponse) -> int | None:
    first = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdigit() else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: BaseException) -> str:
    cause = getattr(error, "reason", None) or error
    text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return " ".join(str(text).split())

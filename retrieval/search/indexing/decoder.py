"""One decoding process: asked for a photo, given a time limit, replaced when it fails."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import retrieval
from retrieval.catalog.records import PhotoDetails, PhotoFile, PhotoState
from retrieval.encode.protocol import Pixels
from retrieval.spec.errors import LeanclipError
from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.worker import READY

COMMAND = (sys.executable, "-m", "retrieval.vision.worker")

DECODE_SECONDS = 60.0
# A file is read before it is decoded, from a drive or a network that may be slow.
READ_SECONDS = 60.0
SLOWEST_BYTES_PER_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Decoded:
    """A photo or video ready for the encoder, or the reason why it is not."""

    file: PhotoFile
    pixels: Pixels | None = None
    """``(moments, 3, size, size)``."""
    moments: tuple[int | None, ...] = (None,)
    """Where in a video each picture lies, in milliseconds; one None for a photo."""
    details: PhotoDetails = field(default_factory=PhotoDetails)
    state: PhotoState = "ready"
    why: str | None = None


class DecoderFailedError(Exception):
    """The process ended in the middle of its work, or was ended."""


class Decoder:
    """Reads photos in a process of its own, which starts with the first one."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        self._preprocessing = preprocessing
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False

    def read(self, file: PhotoFile, *, decode: bool = True) -> Decoded:
        """Hash a file and, if wanted, decode it; never raises for what a file holds.

        Raises:
            LeanclipError: No decoding process can be started at all.
        """
        process = self._running()
        read_seconds = READ_SECONDS + file.size / SLOWEST_BYTES_PER_SECOND
        request: dict[str, Any] = {"path": str(file.path), "read_seconds": read_seconds}
        if decode:
            request["decode_seconds"] = DECODE_SECONDS
        started = time.monotonic()
        try:
            _send(process, request)
            answer = _received(process)
        except DecoderFailedError:
            # Nothing of the photo was looked at yet: its drive is to blame, so try again.
            why = self._last_words(time.monotonic() - started >= read_seconds, read_seconds)
            return Decoded(file, state="unreadable", why=f"cannot be read: {why}")
        if "why" in answer:
            return _refused(file, answer)
        sha256 = bytes.fromhex(answer["sha256"])
        if not decode:
            return Decoded(file, details=PhotoDetails(content_sha256=sha256))
        started = time.monotonic()
        try:
            return self._decoded(file, sha256, process)
        except DecoderFailedError:
            why = self._last_words(time.monotonic() - started >= DECODE_SECONDS, DECODE_SECONDS)
            return Decoded(file, state="damaged", why=f"cannot be decoded: {why}")

    def end(self) -> None:
        """End the process, whatever it is doing; to be called from any thread."""
        self._ended = True
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End the process and wait for its end; nothing may be reading."""
        self.end()
        if self._process is not None:
            _reap(self._process)
            self._process = None

    def _decoded(self, file: PhotoFile, sha256: bytes, process: subprocess.Popen[bytes]) -> Decoded:
        answer = _received(process)
        if "why" in answer:
            return _refused(file, answer)
        size = self._preprocessing.size
        moments = tuple(answer["moments"])
        content = _bytes(process, len(moments) * 3 * size * size)
        pixels = np.frombuffer(content, np.uint8).reshape(len(moments), 3, size, size)
        details = PhotoDetails(content_sha256=sha256, **answer["details"])
        return Decoded(file, pixels, moments, details)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = _started(self._preprocessing)
            if self._ended:
                self._process.kill()
        return self._process

    def _last_words(self, late: bool, limit: float) -> str:
        process, self._process = self._process, None
        status = 0 if process is None else _reap(process)
        if late:
            return f"gave up after {limit:.0f} seconds"
        return f"the decoder crashed on it ({_named(status)})"


def _started(preprocessing: Preprocessing) -> subprocess.Popen[bytes]:
    root = str(Path(retrieval.__path__[0]).parent)
    inherited = os.environ.get("PYTHONPATH")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([root, inherited] if inherited else [root]),
        # There is one process for each core, so threads inside would only wait.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    process = subprocess.Popen(
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Where damaged files make decoders complain, photo by photo.
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    try:
        _write(process, preprocessing.model_dump_json().encode() + b"\n")
        _bytes(process, len(READY))
    except DecoderFailedError as error:
        status = _reap(process)
        raise LeanclipError(
            f"the process that decodes photos cannot be started ({_named(status)}); "
            f"see why: {' '.join(COMMAND)} </dev/null"
        ) from error
    return process


def _refused(file: PhotoFile, answer: dict[str, Any]) -> Decoded:
    return Decoded(file, state="unreadable" if answer["again"] else "damaged", why=answer["why"])


def _send(process: subprocess.Popen[bytes], request: dict[str, Any]) -> None:
    _write(process, json.dumps(request).encode() + b"\n")


def _write(process: subprocess.Popen[bytes], content: bytes) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(content)
        process.stdin.flush()
    except OSError as error:
        raise DecoderFailedError from error


def _received(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.endswith(b"\n"):
        raise DecoderFailedError
    answer: dict[str, Any] = json.loads(line)
    return answer


def _bytes(process: subprocess.Popen[bytes], count: int) -> bytes:
    assert process.stdout is not None
    content = process.stdout.read(count)
    if len(content) < count:
        raise DecoderFailedError
    return content


def _reap(process: subprocess.Popen[bytes]) -> int:
    process.kill()
    status = process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            try:
                stream.close()
            except BrokenPipeError:
                # What was not yet written to a process that has ended is of no use.
                continue
    return status


def _named(status: int) -> str:
    return f"exit status {status}" if status >= 0 else f"signal {-status}"

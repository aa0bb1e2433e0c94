"""Files that can be made again, kept in a folder of limited size."""

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_SUFFIX = ".cached"
# Room is made in one go, not for each file anew.
_FILLED_AGAIN_TO = 0.8
# Writing the time of each use would cost more than it tells.
_USE_COUNTS_AFTER = 24 * 60 * 60.0


class FileCache:
    """Values by key, each whole or absent; the longest unused make room. Any thread may use it.

    A full or read-only disk is no error: then nothing is kept.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        """Keep at most about ``limit`` bytes in ``folder``, which is made when needed."""
        self._folder = folder
        self._limit = limit
        self._used: int | None = None
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Bytes on disk; 0 until the first file is written in this run."""
        return self._used or 0

    def get(self, key: str) -> bytes | None:
        """What was kept under ``key``, if it still is."""
        path = self._path(key)
        try:
            value = path.read_bytes()
            if path.stat().st_mtime < time.time() - _USE_COUNTS_AFTER:
                os.utime(path)
        except OSError:
            return None
        return value

    def put(self, key: str, value: bytes) -> None:
        """Keep ``value``; what another thread or process kept under ``key`` is replaced."""
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(suffix=_SUFFIX, dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(value)
                Path(name).replace(path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError:
            return
        with self._lock:
            self._used = self._size() if self._used is None else self._used + len(value)
            if self._used > self._limit:
                self._make_room()

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key[2:]}{_SUFFIX}"

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        for path in self._folder.glob(f"*/*{_SUFFIX}"):
            try:
                found = path.stat()
            except OSError:
                # Another process made room at the same time.
                continue
            yield found.st_mtime, found.st_size, path

    def _size(self) -> int:
        return sum(size for _, size, _ in self._files())

    def _make_room(self) -> None:
        files = sorted(self._files())
        used = sum(size for _, size, _ in files)
        for _, size, path in files:
            if used <= self._limit * _FILLED_AGAIN_TO:
                break
            path.unlink(missing_ok=True)
            used -= size
        self._used = used

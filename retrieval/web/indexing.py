"""Indexing in the background, seen while it goes on."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from retrieval.search.indexing import IndexProgress
from retrieval.search.library import Library
from retrieval.spec.errors import LeanclipError
from retrieval.spec.readable import readable
from retrieval.web.errors import BusyError

# A batch at hand is finished; reading the names of a slow network folder cannot be hurried.
_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class IndexingState:
    """How far indexing has come."""

    running: bool = False
    stopping: bool = False
    folder: str | None = None
    """What is being read, or was last."""
    done: int = 0
    total: int = 0
    """Photos to read in this folder; 0 while its names are still being listed."""
    skipped: int = 0
    added: int = 0
    """Photos that the finished folders of this run brought."""
    error: str | None = None


class _StoppedError(Exception):
    """The visitor asked for it; what is finished is kept."""


class Indexing:
    """Brings folders of one library up to date, one run at a time, in a thread of its own."""

    def __init__(self, open_library: Callable[[], Library]) -> None:
        self._open = open_library
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.state = IndexingState()

    def start(self, folders: Sequence[Path]) -> None:
        """Begin to read ``folders``.

        Raises:
            BusyError: A run is going on.
        """
        with self._lock:
            if self.state.running:
                raise BusyError("this library is being indexed already")
            self._stop.clear()
            self.state = IndexingState(running=True)
            # As a daemon: a folder that hangs must not keep the server from ending.
            self._thread = threading.Thread(
                target=self._run, args=(tuple(folders),), name="indexing", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """End the run at hand after its next photos; nothing happens when there is none."""
        with self._lock:
            if self.state.running:
                self._stop.set()
                self.state = replace(self.state, stopping=True)

    def close(self) -> None:
        """Stop, and wait a little for the photos at hand to be kept."""
        self.stop()
        if self._thread is not None:
            self._thread.join(_PATIENCE_SECONDS)

    def _run(self, folders: tuple[Path, ...]) -> None:
        error = None
        try:
            with self._open() as library:
                for folder in folders:
                    self._note(folder=readable(folder.name or folder), done=0, total=0)
                    report = library.ensure_index(folder, progress=self._show)
                    self._note(added=self.state.added + report.added + report.changed)
                    self._check()
        except _StoppedError:
            pass
        except LeanclipError as failure:
            error = readable(str(failure))
        except OSError as failure:
            error = readable(f"{failure.filename or 'the disk'}: {failure.strerror or failure}")
        except Exception:
            error = "indexing broke off by a fault of leanclip; its terminal says more"
            raise
        finally:
            self._note(running=False, stopping=False, error=error)

    def _show(self, now: IndexProgress) -> None:
        self._note(done=now.done, total=now.total, skipped=now.skipped)
        self._check()

    def _check(self) -> None:
        if self._stop.is_set():
            raise _StoppedError

    def _note(self, **changes: object) -> None:
        with self._lock:
            self.state = replace(self.state, **changes)  # type: ignore[arg-type]

"""A thread that owns something which only one thread may use."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

from retrieval.web.errors import BusyError


class Closable(Protocol):
    """What has to be released in the thread that opened it."""

    def close(self) -> None:
        """Release it."""


Owned = TypeVar("Owned", bound=Closable)
Result = TypeVar("Result")


class Worker(Generic[Owned]):
    """Runs work one after the other in a thread of its own.

    A library has two of them. One searches, with the `Library` and so with the only copy of
    its index in memory: FAISS and ONNX Runtime already take every core for a single query, so
    a second query beside it would make both slower, and a copy of the index for each thread
    would cost its memory again. The other looks up photos by their ids in a catalog
    connection of its own, so that thumbnails do not wait behind a search.
    """

    def __init__(self, open_it: Callable[[], Owned], name: str) -> None:
        """Remember how to open what the thread owns; it is opened by the first work."""
        self._open = open_it
        self._owned: Owned | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._closed = threading.Event()

    async def run(self, work: Callable[[Owned], Result]) -> Result:
        """Do ``work`` in the thread; work that has not begun is dropped with its request."""
        return await asyncio.wrap_future(self._pool.submit(self._do, work))

    def close(self) -> None:
        """Finish the work at hand, drop what waits, release what the thread owns."""
        self._closed.set()
        self._pool.submit(self._release)
        self._pool.shutdown(wait=True)

    def _do(self, work: Callable[[Owned], Result]) -> Result:
        if self._closed.is_set():
            raise BusyError("the server is stopping")
        if self._owned is None:
            self._owned = self._open()
        return work(self._owned)

    def _release(self) -> None:
        if self._owned is not None:
            self._owned.close()

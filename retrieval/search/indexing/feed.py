"""Decoded photos, made by processes that stay a bounded distance ahead of their reader."""

import os
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import LifoQueue
from typing import NamedTuple, Self

from retrieval.catalog.records import PhotoFile
from retrieval.search.indexing.decoder import Decoded, Decoder
from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.decode import is_video_name

# More than this only hold more decoded photos in memory.
MAX_DECODERS = 8
# Decoding about so many takes as long as starting a process.
PHOTOS_PER_DECODER = 16
# How many photos a video counts as, which has up to 32 pictures and mostly fewer: of the 96
# photos that wait by default, 8 videos take the place, one for each decoder.
VIDEO_PLACES = 12
# How long the others wait for a photo that takes its time before they pass it.
PATIENCE_SECONDS = 1.0


class _Pending(NamedTuple):
    future: Future[Decoded]
    places: int
    """How many photos it counts as."""


class Feed:
    """A few decoding processes; use it as a context manager.

    Processes, not threads: a decoder that hangs or crashes on damaged bytes can be killed
    without the rest noticing, and on many cores Python's lock is not in the way.

    Args:
        preprocessing: What the image tower takes.
        expected: About how many photos there will be; few are not worth many processes.
    """

    def __init__(self, preprocessing: Preprocessing, *, expected: int) -> None:
        worthwhile = max(1, expected // PHOTOS_PER_DECODER)
        self._count = min(MAX_DECODERS, os.cpu_count() or 1, worthwhile)
        self._decoders = [Decoder(preprocessing) for _ in range(self._count)]
        # The one used last is asked first, so few photos start few processes.
        self._idle: LifoQueue[Decoder] = LifoQueue()
        for decoder in self._decoders:
            self._idle.put(decoder)
        self._threads = ThreadPoolExecutor(self._count, "decode")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.abort()
        self._threads.shutdown(wait=True)
        for decoder in self._decoders:
            decoder.close()

    def abort(self) -> None:
        """End whatever is being read; what `photos` still gives is worth nothing."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for decoder in self._decoders:
            decoder.end()

    def photos(
        self, files: Iterable[PhotoFile], *, ahead: int, decode: bool = True
    ) -> Generator[Decoded, None, None]:
        """Decode ``files``, at most ``ahead`` of them before they are asked for.

        The bound is the memory limit: an encoder that is slower than the decoders makes
        them wait. Photos come in the order of ``files``, but one that takes long is passed
        by others.

        Args:
            files: What to read.
            ahead: How many decoded photos may wait; a video counts as `VIDEO_PLACES`.
            decode: Whether pixels are wanted, or only hashes.

        Raises:
            LeanclipError: No decoding process can be started.
        """
        waiting: deque[_Pending] = deque()
        late: list[_Pending] = []
        try:
            for file in files:
                places = VIDEO_PLACES if decode and is_video_name(file.path) else 1
                waiting.append(_Pending(self._threads.submit(self._read, file, decode), places))
                while sum(one.places for one in (*waiting, *late)) >= ahead:
                    yield from self._next(waiting, late)
            while waiting or late:
                yield from self._next(waiting, late)
        finally:
            for one in (*waiting, *late):
                one.future.cancel()

    def _next(
        self, waiting: deque[_Pending], late: list[_Pending]
    ) -> Generator[Decoded, None, None]:
        for one in [one for one in late if one.future.done()]:
            late.remove(one)
            yield one.future.result()
        if not waiting:
            if late:
                yield late.pop(0).future.result()
            return
        try:
            found = waiting[0].future.result(timeout=PATIENCE_SECONDS)
        except TimeoutError:
            # While every decoder is busy with a slow photo there is nobody to pass it.
            if waiting[0].future.running() and len(late) + 1 < self._count:
                late.append(waiting.popleft())
            return
        waiting.popleft()
        yield found

    def _read(self, file: PhotoFile, decode: bool) -> Decoded:
        with self._lent() as decoder:
            return decoder.read(file, decode=decode)

    @contextmanager
    def _lent(self) -> Generator[Decoder, None, None]:
        decoder = self._idle.get()
        try:
            yield decoder
        finally:
            self._idle.put(decoder)

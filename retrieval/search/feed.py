"""Decoded photos in order, made by threads that stay a bounded distance ahead."""

import os
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from retrieval.catalog.records import PhotoFile, PhotoState
from retrieval.encode.protocol import Pixels
from retrieval.spec.errors import PhotoError
from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.preprocess import load_pixels

# Pillow decodes and resizes without the interpreter's lock, so threads are enough; more of
# them than this only hold more decoded photos in memory.
MAX_THREADS = 8


@dataclass(frozen=True, slots=True)
class Decoded:
    """A photo ready for the encoder, or the reason why it is not."""

    file: PhotoFile
    pixels: Pixels | None
    """``(3, size, size)``."""
    state: PhotoState = "ready"
    why: str | None = None


def decoded_photos(
    files: Iterable[PhotoFile], preprocessing: Preprocessing, *, ahead: int
) -> Generator[Decoded, None, None]:
    """Decode ``files`` in order, at most ``ahead`` of them before they are asked for.

    The bound is the memory limit: an encoder that is slower than the decoders makes them
    wait. Close the iterator to stop the threads early.
    """
    waiting: deque[Future[Decoded]] = deque()
    pool = ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1), "decode")
    try:
        for file in files:
            waiting.append(pool.submit(_decode, file, preprocessing))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _decode(file: PhotoFile, preprocessing: Preprocessing) -> Decoded:
    try:
        return Decoded(file, load_pixels(file.path, preprocessing))
    except PhotoError as error:
        cause = error.__cause__
        # The system names its refusals by number; Pillow's own OSErrors have none.
        refused = isinstance(cause, OSError) and cause.errno is not None
        again = refused or isinstance(cause, MemoryError)
        return Decoded(file, None, "unreadable" if again else "damaged", _why(error, file))


def _why(error: PhotoError, file: PhotoFile) -> str:
    reason = str(error).removeprefix(str(file.path)).lstrip(": ")
    # A name that is not valid text may be quoted in the reason, which must be text.
    return reason.encode("utf-8", "backslashreplace").decode()

"""Ctrl-C that waits for the end of the step, so that the saved state is never torn."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Whether the user asked to stop."""

    requested = False


@contextmanager
def interrupt_after_step() -> Iterator[Interrupt]:
    """First Ctrl-C sets ``requested``; a second one stops at once.

    Outside the main thread, where Python delivers no signals, ``requested`` stays false.
    """
    interrupt = Interrupt()

    def remember(number: int, frame: FrameType | None) -> None:
        if interrupt.requested:
            raise KeyboardInterrupt
        interrupt.requested = True

    try:
        earlier = signal.signal(signal.SIGINT, remember)
    except ValueError:
        yield interrupt
        return
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, earlier)

"""Converters that write to the terminal from C++, kept off it."""

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Drop all that is written to standard output and standard error, from any language.

    What goes wrong must be told by an exception: messages of the body are lost. Other threads
    are silent for as long.
    """
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            _descriptors_closed(),
            Path(os.devnull).open("w") as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


@contextlib.contextmanager
def _descriptors_closed() -> Iterator[None]:
    """Point the process's own two streams at nothing: C++ does not know of Python's."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    kept = [(number, os.dup(number)) for number in (1, 2)]
    try:
        for number, _ in kept:
            os.dup2(nowhere, number)
        yield
    finally:
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)
        os.close(nowhere)

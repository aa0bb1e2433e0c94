"""coremltools, imported when first needed and kept quiet."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from functools import partialmethod
from typing import Any

from retrieval.spec.errors import MissingExtraError

EXTRA = "coreml"


def coremltools() -> Any:
    """The package ``coremltools``, without the warnings of its import.

    Raises:
        MissingExtraError: It is not installed.
    """
    with _no_warnings():
        try:
            import coremltools as package
            import coremltools.optimize.coreml
        except ImportError as error:
            raise MissingExtraError("a Core ML file", EXTRA) from error
    return package


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the converter's warnings and progress bars off the terminal.

    It warns of every torch that is newer than it, and draws a bar for each of its passes.
    """
    from tqdm import tqdm  # type: ignore[import-untyped]

    start = tqdm.__init__
    tqdm.__init__ = partialmethod(start, disable=True)
    try:
        with _no_warnings():
            yield
    finally:
        tqdm.__init__ = start


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)

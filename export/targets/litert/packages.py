"""The packages of the extra ``litert``, imported when first needed and kept quiet."""

import os
from typing import Any

from export.targets.quiet import silenced
from retrieval.spec.errors import MissingExtraError

EXTRA = "litert"


def litert_torch() -> Any:
    """The converter.

    Raises:
        MissingExtraError: It is not installed.
    """
    # It draws its progress through a console that it made when it was imported.
    os.environ.setdefault("LITERT_TORCH_SHOW_PROGRESS", "n")
    try:
        with silenced():
            import litert_torch as package
    except ImportError as error:
        raise MissingExtraError("converting a tower to LiteRT", EXTRA) from error
    return package


def quantizer() -> Any:
    """ai-edge-quantizer's module of that name.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        with silenced():
            from ai_edge_quantizer import quantizer as package
    except ImportError as error:
        raise MissingExtraError("writing a LiteRT file", EXTRA) from error
    return package


def flatbuffers() -> Any:
    """What reads and writes the format itself, of the runtime's package.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        from ai_edge_litert.tools import flatbuffer_utils
    except ImportError as error:
        raise MissingExtraError("reading a LiteRT file", EXTRA) from error
    return flatbuffer_utils


def interpreter() -> Any:
    """The runtime's class of that name.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        with silenced():
            from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise MissingExtraError("running a LiteRT file", EXTRA) from error
    return Interpreter

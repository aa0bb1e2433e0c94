"""The packages of the extra ``litert``, imported when first needed and kept quiet."""

import os
from importlib import import_module
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
    return _imported("litert_torch", "converting a tower to LiteRT")


def quantizer() -> Any:
    """ai-edge-quantizer's module of that name; raises like `litert_torch`."""
    return _imported("ai_edge_quantizer.quantizer", "writing a LiteRT file")


def calibrator() -> Any:
    """ai-edge-quantizer's module of that name; raises likewise."""
    return _imported("ai_edge_quantizer.calibrator", "writing a LiteRT file")


def flatbuffers() -> Any:
    """What reads and writes the format itself, of the runtime's package; raises likewise."""
    return _imported("ai_edge_litert.tools.flatbuffer_utils", "reading a LiteRT file")


def interpreter() -> Any:
    """The runtime's class of that name; raises likewise."""
    return _imported("ai_edge_litert.interpreter", "running a LiteRT file").Interpreter


def _imported(module: str, purpose: str) -> Any:
    try:
        with silenced():
            return import_module(module)
    except ImportError as error:
        raise MissingExtraError(purpose, EXTRA) from error

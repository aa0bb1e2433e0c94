"""LiteRT files on this machine: one thread, XNNPACK, row by row as on a phone."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.targets.arranged import arranged
from export.targets.litert.flatbuffer import CHANNEL_ORDER, read_metadata
from export.targets.litert.packages import interpreter
from export.targets.quiet import silenced
from export.targets.target import Inputs, Run
from retrieval.spec.bundle import Interface
from retrieval.spec.errors import BundleError
from retrieval.spec.reasons import in_one_line


def runner(model: bytes, interface: Interface, *, name: str) -> Run:
    """Run a model in ai-edge-litert.

    Args:
        model: The file's bytes.
        interface: How to call it.
        name: Of the file, for messages.

    Raises:
        BundleError: The runtime cannot load it, or it has no such input or output.
        MissingExtraError: The runtime is not installed.
    """
    running = _load(model, name)
    _check(running, interface, name)
    reverse = read_metadata(model).get(CHANNEL_ORDER) == "BGR"
    call = running.get_signature_runner()

    def run(inputs: Inputs) -> NDArray[np.float32]:
        given = arranged(inputs, interface, reverse=reverse)
        rows = [call(**{interface.input: row[None]})[interface.output] for row in given]
        return np.concatenate(rows)

    return run


def open_file(path: Path, interface: Interface) -> Run:
    """Run a file; raises like `runner`."""
    try:
        model = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error}); export it again") from error
    return runner(model, interface, name=str(path))


def _load(model: bytes, name: str) -> Any:
    kind = interpreter()
    try:
        with silenced():
            running = kind(model_content=model, num_threads=1)
            running.allocate_tensors()
    except Exception as error:  # The runtime raises ValueError, RuntimeError and others.
        reason = in_one_line(error)
        raise BundleError(
            f"{name} cannot be loaded by LiteRT: {reason}; export it again"
        ) from error
    return running


def _check(running: Any, interface: Interface, name: str) -> None:
    signatures = running.get_signature_list()
    if len(signatures) == 1:
        (signature,) = signatures.values()
        if (signature["inputs"], signature["outputs"]) == ([interface.input], [interface.output]):
            return
    raise BundleError(
        f"{name} does not take {interface.input} and return {interface.output}, as its bundle "
        "says; export it again"
    )

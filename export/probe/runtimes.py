"""The bare call of each runtime of this machine.

Imported in the process of one file alone, so nothing here may import what that runtime does
not need: its memory would be counted.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Call = Callable[[NDArray[np.generic]], NDArray[np.float32]]
"""One row in the form that the file takes, to its embedding ``(1, dim)``."""


class HostRuntime(NamedTuple):
    """A runtime that is imported and ready to open files."""

    name: str
    version: str
    delegate: str
    open: Callable[[Path, str, int], Call]
    """Path, tower and threads to a model that is ready."""


def import_runtime(file_format: str) -> HostRuntime:
    """Import the runtime of a format; the import is not part of any load time.

    Raises:
        ImportError: It is not installed.
    """
    return {"onnx": _onnx, "litert": _litert, "torch": _torch}[file_format]()


def _onnx() -> HostRuntime:
    import onnxruntime as ort

    from retrieval.encode.sessions import open_session

    def open_file(path: Path, tower: str, threads: int) -> Call:
        # As the search product runs the same files.
        session = open_session(path, threads=threads)
        name = session.get_inputs()[0].name
        return lambda row: session.run(None, {name: row})[0]

    return HostRuntime("onnxruntime", ort.__version__, "CPU", open_file)


def _litert() -> HostRuntime:
    from importlib.metadata import version

    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]

    def open_file(path: Path, tower: str, threads: int) -> Call:
        interpreter = Interpreter(model_path=str(path), num_threads=threads)
        interpreter.allocate_tensors()
        entry = interpreter.get_input_details()[0]["index"]
        result = interpreter.get_output_details()[0]["index"]

        def call(row: NDArray[np.generic]) -> NDArray[np.float32]:
            interpreter.set_tensor(entry, row)
            interpreter.invoke()
            found: NDArray[np.float32] = interpreter.get_tensor(result)
            return found

        return call

    # The interpreter of this package applies XNNPACK unless told not to.
    return HostRuntime("litert", version("ai-edge-litert"), "XNNPACK", open_file)


def _torch() -> HostRuntime:
    import torch

    from export.targets.graphs import image_graph, text_graph
    from retrieval.models.checkpoint import load_checkpoint

    def open_file(path: Path, tower: str, threads: int) -> Call:
        torch.set_num_threads(threads)
        model = load_checkpoint(path).model
        graph: Any = image_graph(model) if tower == "image" else text_graph(model)

        def call(row: NDArray[np.generic]) -> NDArray[np.float32]:
            with torch.inference_mode():
                found: NDArray[np.float32] = graph(torch.from_numpy(row)).numpy()
            return found

        return call

    return HostRuntime("torch", torch.__version__, "CPU", open_file)

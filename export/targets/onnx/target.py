"""The ONNX target: dynamic batch, one opset, runs in ONNX Runtime here and on every host."""

from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from export.quantize.onnx import OnnxPrecision
from export.targets.arranged import arranged
from export.targets.graphs import mostly_matrices
from export.targets.onnx.graph import CHANNEL_ORDER
from export.targets.onnx.traced import OnnxTraced
from export.targets.target import Conversion, Inputs, Run
from retrieval.encode.onnx import as_input
from retrieval.encode.sessions import open_session
from retrieval.spec.bundle import Format, Interface
from retrieval.spec.errors import BundleError
from retrieval.spec.reasons import in_one_line

_STATIC_TRANSFORMER = (
    "transformers lose their meaning when activations have fixed int8 scales; choose int8, "
    "which chooses them for each photo or sentence"
)
_INT4_CONVOLUTIONS = "convolutions lose their meaning in 4 bits; choose int8"


class OnnxTarget:
    """Towers as `export.targets.onnx.graph` traces them."""

    format: Format = "onnx"
    suffix = ".onnx"
    extra = "export"
    precisions: tuple[str, ...] = get_args(OnnxPrecision)

    def refuses(self, conversion: Conversion, precision: str) -> str | None:
        if precision not in self.precisions:
            return f"ONNX has no {precision} files; choose {', '.join(self.precisions)}"
        if mostly_matrices(conversion.graph):
            return _STATIC_TRANSFORMER if precision == "int8-static" else None
        if precision == "int4":
            return _INT4_CONVOLUTIONS
        if precision in ("int8-static", "mixed") and conversion.calibration is None:
            return "it learns its ranges from photos; name some with --calibrate, or choose int8"
        return None

    def trace(self, conversion: Conversion) -> OnnxTraced:
        """Convert a tower in float32 and compare it with PyTorch.

        Raises:
            ExportError: An operation has no converter, or the graph differs from PyTorch.
        """
        metadata = dict(conversion.metadata)
        if conversion.tower == "image":
            metadata[CHANNEL_ORDER] = conversion.preprocessing.channel_order
        calibration = conversion.calibration
        return OnnxTraced(
            conversion.model,
            conversion.tower,
            conversion.graph,
            _graph_inputs(conversion, conversion.examples),
            metadata=metadata,
            calibration=None if calibration is None else _graph_inputs(conversion, calibration),
        )

    def open(self, path: Path, interface: Interface) -> Run:
        """Run a file in ONNX Runtime.

        Raises:
            BundleError: ONNX Runtime cannot load it.
        """
        try:
            session = open_session(path)
        except Exception as error:  # ONNX Runtime raises plain subclasses of Exception.
            reason = in_one_line(error)
            raise BundleError(f"{path} cannot be loaded by ONNX Runtime: {reason}") from error
        reverse = session.get_modelmeta().custom_metadata_map.get(CHANNEL_ORDER) == "BGR"

        def run(inputs: Inputs) -> NDArray[np.float32]:
            given = arranged(inputs, interface, reverse=reverse)
            rows = [session.run([interface.output], {interface.input: row[None]}) for row in given]
            return np.concatenate([row[0] for row in rows])

        return run


def _graph_inputs(conversion: Conversion, inputs: Inputs) -> Inputs:
    if conversion.tower == "text":
        return inputs
    return as_input(inputs.astype(np.uint8, copy=False), conversion.preprocessing)

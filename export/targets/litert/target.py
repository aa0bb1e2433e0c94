"""The LiteRT target: channel-last pixels, a batch of one, XNNPACK on a phone's processor.

An image tower takes uint8 pixels in every precision, as a bitmap has them; a text tower takes
int32 ids. Both return float32, so that hosts need not know how a file is quantised.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import numpy as np

from export.quantize.kept import note_trained
from export.quantize.litert import LiteRTPrecision, quantise
from export.targets.arranged import arranged_for
from export.targets.graphs import ImageGraph
from export.targets.litert.converter import EMBEDDING, PIXELS, TOKENS, convert
from export.targets.litert.flatbuffer import CHANNEL_ORDER, operations, weights
from export.targets.litert.packages import EXTRA
from export.targets.litert.running import open_file, runner
from export.targets.support import refusal
from export.targets.target import Conversion, Inputs, Run, Written
from export.verify.parity import agreement, check_exact, reference
from retrieval.encode.onnx import as_input
from retrieval.spec.bundle import Format, Interface
from retrieval.spec.errors import ExportError
from retrieval.spec.files import replacing

PACKAGES = ("litert-torch", "ai-edge-quantizer", "ai-edge-litert")
"""Whose versions are noted."""


class LiteRTTarget:
    """``.tflite`` files with one signature."""

    format: Format = "litert"
    suffix = ".tflite"
    extra = EXTRA
    precisions: tuple[str, ...] = get_args(LiteRTPrecision)

    def refuses(self, conversion: Conversion, precision: str) -> str | None:
        if precision not in self.precisions:
            return f"LiteRT files have no {precision} form; choose {', '.join(self.precisions)}"
        return refusal(conversion.model.config, conversion.tower, self.format, precision)

    def trace(self, conversion: Conversion) -> "LiteRTTraced":
        """Convert a tower in float32 and compare it with PyTorch.

        Raises:
            ExportError: An operation has no converter, or the file differs from PyTorch.
            MissingExtraError: The converter is not installed.
        """
        return LiteRTTraced(conversion)

    def open(self, path: Path, interface: Interface) -> Run:
        """Run a file in ai-edge-litert with XNNPACK, on one thread.

        Raises:
            BundleError: The runtime cannot load it, or its signature is not the interface's.
            MissingExtraError: The runtime is not installed.
        """
        return open_file(path, interface)


class LiteRTTraced:
    """A tower as an fp32 LiteRT model that equals PyTorch.

    Args:
        conversion: Where it comes from.
    """

    def __init__(self, conversion: Conversion) -> None:
        self.conversion = conversion
        image = isinstance(conversion.graph, ImageGraph)
        self.interface = Interface(
            input=PIXELS if image else TOKENS,
            output=EMBEDDING,
            type="uint8" if image else "int32",
            layout="NHWC" if image else None,
            batch=1,
        )
        metadata = dict(conversion.metadata)
        if image:
            metadata[CHANNEL_ORDER] = conversion.preprocessing.channel_order
        row = self._rows(conversion.examples[:1])
        self.model = convert(conversion.graph, row, metadata=metadata)
        self._compare()

    def write(self, path: Path, precision: str) -> Written:
        """Write one file.

        Raises:
            ExportError: The precision is refused or needs calibration inputs that are missing,
                or the quantiser fails.
            MissingExtraError: The quantiser is not installed.
        """
        if refused := LiteRTTarget().refuses(self.conversion, precision):
            raise ExportError(refused)
        known = next(known for known in get_args(LiteRTPrecision) if known == precision)
        calibration = self.conversion.calibration
        rows = None if calibration is None else self._rows(calibration)
        model = quantise(self.model, known, calibration=rows)
        with replacing(path) as temporary:
            temporary.write_bytes(model)
        return Written(precision=known, interface=self.interface, notes=self._notes(model, known))

    def _rows(self, inputs: Inputs) -> Inputs:
        return arranged_for(self.conversion, inputs, self.interface)

    def _compare(self) -> None:
        inputs = self.conversion.examples
        expected = inputs
        if self.interface.layout is not None:
            expected = as_input(inputs.astype(np.uint8, copy=False), self.conversion.preprocessing)
        name = f"the {self.conversion.tower} tower in LiteRT"
        found = runner(self.model, self.interface, name=name)(inputs)
        check_exact(name, agreement(reference(self.conversion.graph, expected), found))

    def _notes(self, model: bytes, precision: LiteRTPrecision) -> dict[str, Any]:
        notes: dict[str, Any] = {name: version(name) for name in PACKAGES}
        if precision in ("int8", "int8-static"):
            tower = self.conversion.tower
            notes |= note_trained(self.conversion.model, tower, weights(model))
        if precision == "int8-static":
            kinds = {kind for kind, type in operations(model) if type == "FLOAT32"}
            notes["in_float"] = sorted(kinds - {"DEQUANTIZE"})
        return notes

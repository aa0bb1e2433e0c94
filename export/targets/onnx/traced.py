"""A tower as an fp32 ONNX graph that equals PyTorch, ready to be written in precisions."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from export.quantize.onnx import OnnxPrecision, WeightPrecision, is_transformer, quantise
from export.quantize.trained import TrainedWeight, find_trained, precision_of
from export.targets.graphs import Graph
from export.targets.onnx.graph import EMBEDDING, OPSET, PIXELS, TOKENS, serialise, trace
from export.targets.target import Written
from export.verify.parity import Agreement, agreement, check_exact, reference, run_batch, run_rows
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.bundle import Interface, Precision
from retrieval.spec.errors import ExportError
from retrieval.spec.tower import Tower

INT8_CONVOLUTIONS = 0.999
"""Below this cosine to fp32, ``int8`` keeps a tower's convolution weights in float16."""


@dataclass(frozen=True)
class Made:
    """An ONNX file in memory.

    Attributes:
        data: The file.
        precision: Of its weights.
        notes: What was decided on the way, JSON-compatible.
    """

    data: bytes
    precision: Precision
    notes: dict[str, Any]


class OnnxTraced:
    """An fp32 graph that was compared with PyTorch, row by row and as a batch.

    Args:
        model: Both towers.
        tower: Which one.
        graph: The tower as hosts call it.
        inputs: Real pixels or token ids, as the exported tower takes them; two rows or more.
        metadata: Stored in the file.
        calibration: More inputs, in the same form, for precisions with fixed scales.

    Raises:
        ExportError: The tower has no converter, or the graph differs from PyTorch.
    """

    def __init__(
        self,
        model: DualEncoder,
        tower: Tower,
        graph: Graph,
        inputs: NDArray[np.generic],
        *,
        metadata: Mapping[str, str],
        calibration: NDArray[np.generic] | None = None,
    ) -> None:
        self._model = model
        self._tower = tower
        self._inputs = inputs
        self._calibration = calibration
        self._proto = trace(graph, inputs, metadata=metadata)
        self._expected = reference(graph, inputs)
        data = serialise(self._proto)
        self.exact: Agreement = check_exact(
            f"the {tower} tower in ONNX",
            agreement(self._expected, run_rows(data, inputs)),
            agreement(self._expected, run_batch(data, inputs)),
        )

    def write(self, path: Path, precision: str) -> Written:
        """Write one file; see `export.quantize.onnx` for the precisions.

        Raises:
            ExportError: There is no such precision, or a weight is not on the grid that the
                configuration promises.
        """
        if precision not in get_args(OnnxPrecision):
            raise ExportError(f"ONNX has no precision {precision!r}")
        made = self.make(cast(OnnxPrecision, precision))
        path.write_bytes(made.data)
        notes = {"opset": OPSET, "onnx": onnx.__version__, "onnxruntime": ort.__version__}
        return Written(made.precision, self._interface, notes | made.notes)

    def make(self, precision: OnnxPrecision) -> Made:
        """One file in memory.

        Raises:
            ExportError: A weight is not on the grid that the configuration promises, or there
                is nothing to calibrate with.
        """
        if precision == "int8-static":
            return Made(serialise(self._static()), precision, {"photos": len(self._photos())})
        if precision == "mixed":
            return self._mixed()
        trained = self._trained if precision in ("int8", "int4", "trained") else {}
        called, stored = _named(precision, trained)
        data = serialise(quantise(self._proto, stored, trained=trained))
        return self._gentle(data, trained) if stored == "int8" else Made(data, called, {})

    def _static(self) -> onnx.ModelProto:
        from export.quantize.onnx_biases import correct_biases
        from export.quantize.onnx_static import find_ranges, quantise_static

        photos = self._photos()
        made = quantise_static(self._proto, find_ranges(self._proto, photos))
        correct_biases(self._proto, made, photos)
        return made

    def _mixed(self) -> Made:
        from export.quantize.onnx_mixed import mix_convolutions, mix_products

        if is_transformer(self._proto):
            inputs = self._inputs if self._calibration is None else self._calibration
            mixed = mix_products(self._proto, inputs)
        else:
            mixed = mix_convolutions(self._proto, self._photos())
        return Made(serialise(mixed.model), "mixed", mixed.notes)

    def _photos(self) -> NDArray[np.generic]:
        if self._calibration is None:
            raise ExportError(f"the {self._tower} tower needs photos to be calibrated with")
        return self._calibration

    def _gentle(self, data: bytes, trained: Mapping[str, TrainedWeight]) -> Made:
        """The same int8 file, or one with convolutions in float16 where that is better."""
        found = agreement(self._expected, run_rows(data, self._inputs))
        if found.min_cosine < INT8_CONVOLUTIONS:
            gentler = quantise(self._proto, "int8", trained=trained, convolutions="fp16")
            other = serialise(gentler)
            better = agreement(self._expected, run_rows(other, self._inputs))
            if len(other) != len(data) and better.min_cosine > found.min_cosine:
                return Made(other, "int8", {"convolutions": "fp16"})
        return Made(data, "int8", {})

    @cached_property
    def _trained(self) -> dict[str, TrainedWeight]:
        return find_trained(self._proto, self._model, self._tower)

    @property
    def _interface(self) -> Interface:
        if self._tower == "text":
            return Interface(input=TOKENS, output=EMBEDDING, type="int32")
        spec = self._model.config.preprocessing
        return Interface(input=PIXELS, output=EMBEDDING, type=spec.pixel_type, layout=spec.layout)


def _named(
    precision: WeightPrecision, trained: Mapping[str, TrainedWeight]
) -> tuple[Precision, WeightPrecision]:
    """What the manifest calls a precision, and what to store a tower in."""
    if precision != "trained":
        return precision, precision
    return (precision_of(trained), precision) if trained else ("fp16", "fp16")

"""One tower to one ONNX file, with what the conversion cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.quantize.onnx import OnnxPrecision, quantise
from export.quantize.trained import TrainedWeight, find_trained, precision_of
from export.targets.graphs import Graph, image_graph, text_graph
from export.targets.onnx import serialise, trace
from export.verify.parity import agreement, check_exact, reference, run_batch, run_rows
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.bundle import Precision
from retrieval.spec.tower import Tower

INT8_CONVOLUTIONS = 0.999
"""Below this cosine to fp32, ``int8`` keeps a tower's convolution weights in float16."""


@dataclass(frozen=True)
class ConvertedTower:
    """An ONNX file in memory.

    Attributes:
        data: The file.
        precision: Of its weights.
        report: Agreement with PyTorch before and after quantising, JSON-compatible.
    """

    data: bytes
    precision: Precision
    report: dict[str, Any]


def convert_tower(
    model: DualEncoder,
    tower: Tower,
    inputs: NDArray[np.generic],
    *,
    precision: OnnxPrecision,
    metadata: Mapping[str, str],
) -> ConvertedTower:
    """Trace, compare with PyTorch, quantise, measure.

    Args:
        model: Both towers.
        tower: Which one.
        inputs: Real pixels or token ids, as the exported tower takes them; two rows or more.
        precision: Of the file.
        metadata: Stored in the file.

    Raises:
        ExportError: The tower has no converter, its fp32 form differs from PyTorch, or a
            weight is not on the grid that the configuration promises.
    """
    graph: Graph = image_graph(model) if tower == "image" else text_graph(model)
    traced = trace(graph, inputs, metadata=metadata)
    expected = reference(graph, inputs)
    data = serialise(traced)
    exact = check_exact(
        f"the {tower} tower in ONNX",
        agreement(expected, run_rows(data, inputs)),
        agreement(expected, run_batch(data, inputs)),
    )
    report: dict[str, Any] = {"fp32": exact._asdict()}
    trained = find_trained(traced, model, tower) if precision in ("int8", "trained") else {}
    called, stored = _named(precision, trained)
    if stored == "fp32":
        return ConvertedTower(serialise(quantise(traced, "fp32")), called, report)
    data, report[called] = _quantised(traced, stored, trained, inputs, expected)
    return ConvertedTower(data, called, report)


def _named(
    precision: OnnxPrecision, trained: Mapping[str, TrainedWeight]
) -> tuple[Precision, OnnxPrecision]:
    """What the manifest calls a precision, and what to store a tower in."""
    if precision != "trained":
        return precision, precision
    return (precision_of(trained), precision) if trained else ("fp16", "fp16")


def _quantised(
    traced: onnx.ModelProto,
    precision: OnnxPrecision,
    trained: Mapping[str, TrainedWeight],
    inputs: NDArray[np.generic],
    expected: NDArray[np.float32],
) -> tuple[bytes, dict[str, Any]]:
    data = serialise(quantise(traced, precision, trained=trained))
    found = agreement(expected, run_rows(data, inputs))
    if precision != "int8" or found.min_cosine >= INT8_CONVOLUTIONS:
        return data, found._asdict()
    gentler = serialise(quantise(traced, precision, trained=trained, convolutions="fp16"))
    better = agreement(expected, run_rows(gentler, inputs))
    if len(gentler) == len(data) or better.min_cosine <= found.min_cosine:
        return data, found._asdict()
    return gentler, {**better._asdict(), "convolutions": "fp16"}

"""One tower to one ONNX file in memory, with what the conversion cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.quantize.onnx import OnnxPrecision
from export.targets.graphs import Graph, image_graph, text_graph
from export.targets.onnx.traced import OnnxTraced
from export.verify.parity import agreement, reference, run_rows
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.bundle import Precision
from retrieval.spec.tower import Tower


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
    traced = OnnxTraced(model, tower, graph, inputs, metadata=metadata)
    made = traced.make(precision)
    report: dict[str, Any] = {"fp32": traced.exact._asdict()}
    if made.precision != "fp32":
        found = agreement(reference(graph, inputs), run_rows(made.data, inputs))
        report[made.precision] = {**found._asdict(), **made.notes}
    return ConvertedTower(made.data, made.precision, report)

"""Towers as ONNX graphs: pixels or token ids in, embeddings of length one out."""

from collections.abc import Mapping

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from export.targets.graphs import Graph, ImageGraph, exportable
from retrieval.spec.errors import ExportError
from retrieval.spec.reasons import first_line

OPSET = 20
"""The first with GELU as one operation; ONNX Runtime reads it since 1.17, on the web too."""

PIXELS = "pixels"
TOKENS = "tokens"
EMBEDDING = "embedding"

CHANNEL_ORDER = "channel_order"
"""Key in an image tower's metadata, since a file alone does not show it."""


def trace(
    graph: Graph, inputs: NDArray[np.generic], *, metadata: Mapping[str, str] | None = None
) -> onnx.ModelProto:
    """Convert one tower to an fp32 ONNX model whose batch is dynamic.

    Args:
        graph: From `image_graph` or `text_graph`.
        inputs: Example of two rows or more; one row would be taken for a constant.
        metadata: Stored in the model for people who meet the file alone.

    Raises:
        ExportError: An operation has no converter, or the graph is not valid ONNX.
    """
    name = PIXELS if isinstance(graph, ImageGraph) else TOKENS
    try:
        with exportable(graph):
            program = torch.onnx.export(
                graph,
                (torch.from_numpy(inputs),),
                dynamo=True,
                opset_version=OPSET,
                input_names=[name],
                output_names=["traced_output"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                external_data=False,
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, RuntimeError) as error:
        # The exporter's own message is advice on how to debug it; the cause says what failed.
        reason = first_line(error.__cause__ or error)
        raise ExportError(f"the tower that takes {name} cannot become ONNX: {reason}") from error
    if program is None:
        raise ExportError(f"the tower that takes {name} cannot become ONNX: nothing was traced")
    model: onnx.ModelProto = program.model_proto
    _rename_output(model)
    _strip(model)
    onnx.helper.set_model_props(model, dict(metadata or {}))
    return model


def serialise(model: onnx.ModelProto) -> bytes:
    """The bytes of a model after ONNX's checker found it valid.

    Raises:
        ExportError: It is invalid, or larger than the 2 GB that one ONNX file may have.
    """
    if model.ByteSize() >= onnx.checker.MAXIMUM_PROTOBUF:
        raise ExportError("a tower of more than 2 GB does not fit into one ONNX file")
    data: bytes = model.SerializeToString()
    try:
        onnx.checker.check_model(data, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = first_line(error)
        raise ExportError(f"the converted graph is not valid ONNX: {reason}") from error
    return data


def _rename_output(model: onnx.ModelProto) -> None:
    """Name the output ``embedding``.

    The tracer cannot be asked to: it calls the result of a token look-up by that name too,
    and the file then defines it twice.
    """
    traced = model.graph.output[0].name
    renamed = {EMBEDDING: f"{EMBEDDING}.inner", traced: EMBEDDING}
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    model.graph.output[0].name = EMBEDDING


def _strip(model: onnx.ModelProto) -> None:
    """Drop the tracer's notes: they outweigh small towers and hold paths of this machine."""
    graph = model.graph
    del graph.value_info[:]
    model.doc_string = graph.doc_string = ""
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""

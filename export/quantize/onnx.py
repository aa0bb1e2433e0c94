"""The precisions of an ONNX tower.

``fp32``
    As traced.
``fp16``
    Weights stored as float16, computed in float32: half the bytes at the same speed on a
    processor.
``int8``
    Transformers: matrix products in int8, activations quantised on the fly with one scale
    for a tensor, weights with one for each output channel. Convolutional towers: weights
    stored as int8, computed in float32, since dynamic int8 makes convolutions many times
    slower. In both, token embeddings are int8 with a scale for each row, and what is left
    over is stored as float16.
``trained``
    Weights that were trained on a grid are stored as its codes, 8, 4 or (ternary) 2 bits
    each, with its scales; products whose inputs were trained in int8 run in int8. What is
    left over is stored as float16. In ``int8`` too, such weights keep their grid.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Literal

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

from export.quantize.products import multiply_integers
from export.quantize.storage import (
    float_weights,
    int8_tensors,
    readers,
    store_half,
    store_int8,
    store_tables,
)
from export.quantize.trained import TrainedWeight, store_trained
from retrieval.encode.onnx import ACTIVATIONS, DYNAMIC

OnnxPrecision = Literal["fp32", "fp16", "int8", "trained"]


def quantise(
    model: onnx.ModelProto,
    precision: OnnxPrecision,
    *,
    trained: Mapping[str, TrainedWeight] | None = None,
    convolutions: Literal["int8", "fp16"] = "int8",
) -> onnx.ModelProto:
    """A copy of an fp32 graph in another precision.

    Args:
        model: Traced in float32; not changed.
        precision: What the module's description says of each.
        trained: Weights that lie on a grid; ``int8`` and ``trained`` store them as they are.
        convolutions: How ``int8`` stores other convolution weights; ``fp16`` for towers that
            suffer from the other.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    kept = dict(trained or {}) if precision in ("int8", "trained") else {}
    transformer = _is_transformer(copy)
    _take_out(copy, kept)
    integer = False
    if precision != "fp32":
        store_tables(copy, int8=precision == "int8")
    if precision == "int8":
        integer = transformer and _quantise_products(copy)
        axes = _channel_axes(copy)
        if convolutions == "fp16":
            axes = {name: axis for name, axis in axes.items() if not _feeds(copy, name, "Conv")}
        store_int8(copy, axes)
    if precision != "fp32":
        store_half(copy)
    # Last, since the steps before would store its scales in float16.
    integer = store_trained(copy, kept) or integer
    metadata = {entry.key: entry.value for entry in copy.metadata_props}
    activations = DYNAMIC if integer else "float32"
    helper.set_model_props(copy, metadata | {ACTIVATIONS: activations})
    return copy


def _take_out(model: onnx.ModelProto, names: Collection[str]) -> None:
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name in names]:
        model.graph.initializer.remove(tensor)


def _feeds(model: onnx.ModelProto, name: str, kind: str) -> bool:
    return any(node.op_type == kind for node, _ in readers(model, name))


def _is_transformer(model: onnx.ModelProto) -> bool:
    """Whether most weights sit in matrix products rather than in convolutions."""
    elements: Counter[str] = Counter()
    for tensor, values in float_weights(model):
        for kind in ("Conv", "MatMul"):
            elements[kind] += values.size if _feeds(model, tensor.name, kind) else 0
    return elements["MatMul"] > elements["Conv"]


def _channel_axes(model: onnx.ModelProto) -> dict[str, int]:
    """Axis of the output channels of each weight that a linear operation multiplies with."""
    axes = {}
    for tensor, values in float_weights(model):
        found = {_channel_axis(node, place) for node, place in readers(model, tensor.name)}
        axis = found.pop() if len(found) == 1 else None
        if axis is not None and values.ndim >= 2:
            axes[tensor.name] = axis
    return axes


def _channel_axis(node: NodeProto, place: int) -> int | None:
    if place != 1:
        return None
    if node.op_type == "Conv":
        return 0
    if node.op_type == "Gemm":
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        return 0 if transposed else 1
    return -1 if node.op_type == "MatMul" else None


def _quantise_products(model: onnx.ModelProto) -> bool:
    """Products of an activation and a weight matrix to int8; whether there was any.

    Products of two activations (queries with keys) stay float32, as does the last projection
    (``Gemm``), whose rounding would go straight into the embedding.
    """
    found = False
    for tensor, values in list(float_weights(model)):
        uses = readers(model, tensor.name)
        if values.ndim != 2 or not uses or any(n.op_type != "MatMul" or p != 1 for n, p in uses):
            continue
        rounded, scales = int8_tensors(tensor.name, values, 1)
        del scales.dims[0]
        zeros = np.zeros(values.shape[1], np.int8)
        model.graph.initializer.remove(tensor)
        model.graph.initializer.extend(
            [rounded, scales, numpy_helper.from_array(zeros, f"{tensor.name}.zero")]
        )
        for node, _ in uses:
            multiply_integers(model.graph, node, tensor.name)
        found = True
    return found

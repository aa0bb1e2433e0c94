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
"""

from collections import Counter
from typing import Literal

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

from export.quantize.storage import (
    float_weights,
    int8_tensors,
    readers,
    store_half,
    store_int8,
    store_tables,
    substitute,
    widen,
)
from retrieval.encode.onnx import ACTIVATIONS, DYNAMIC

OnnxPrecision = Literal["fp32", "fp16", "int8"]


def quantise(
    model: onnx.ModelProto,
    precision: OnnxPrecision,
    *,
    convolutions: Literal["int8", "fp16"] = "int8",
) -> onnx.ModelProto:
    """A copy of an fp32 graph in another precision.

    Args:
        model: Traced in float32; not changed.
        precision: What the module's description says of each.
        convolutions: How ``int8`` stores convolution weights; ``fp16`` for towers that
            suffer from the other.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    activations = "float32"
    if precision != "fp32":
        store_tables(copy, int8=precision == "int8")
    if precision == "int8":
        if _is_transformer(copy) and _quantise_products(copy):
            activations = DYNAMIC
        axes = _channel_axes(copy)
        if convolutions == "fp16":
            axes = {name: axis for name, axis in axes.items() if not _feeds(copy, name, "Conv")}
        store_int8(copy, axes)
    if precision != "fp32":
        store_half(copy)
    metadata = {entry.key: entry.value for entry in copy.metadata_props}
    helper.set_model_props(copy, metadata | {ACTIVATIONS: activations})
    return copy


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

    The nodes are the pattern that ONNX Runtime fuses into one kernel. Products of two
    activations (queries with keys) stay float32, as does the last projection (``Gemm``),
    whose rounding would go straight into the embedding.
    """
    quantised: set[str] = set()
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
            substitute(model.graph, node, _integer_product(node, tensor.name, quantised))
    return bool(quantised)


def _integer_product(node: NodeProto, weight: str, quantised: set[str]) -> list[NodeProto]:
    x, out = node.input[0], node.output[0]
    inputs = [f"{x}.rounded", f"{weight}.int8", f"{x}.offset", f"{weight}.zero"]
    nodes = [
        helper.make_node("MatMulInteger", inputs, [f"{out}.int32"]),
        widen(f"{out}.int32", f"{out}.wide"),
        helper.make_node("Mul", [f"{x}.step", f"{weight}.scale"], [f"{out}.scales"]),
        helper.make_node("Mul", [f"{out}.wide", f"{out}.scales"], [out]),
    ]
    if x not in quantised:  # queries, keys and values read the same activation
        quantised.add(x)
        outputs = [f"{x}.rounded", f"{x}.step", f"{x}.offset"]
        nodes.insert(0, helper.make_node("DynamicQuantizeLinear", [x], outputs))
    return nodes

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
``int8-static``
    Convolutional towers in int8 throughout, see `export.quantize.onnx_static`.
``mixed``
    The fastest int8 that the tower has, but for layers that suffer from it, see
    `export.quantize.onnx_mixed`.
``int4``
    Matrices stored in 4 bits, computed in float32, see `export.quantize.onnx_int4`. What is
    left over is stored as ``int8`` stores it.
``trained``
    Weights that were trained on a grid are stored as its codes, 8, 4 or (ternary) 2 bits
    each, with its scales; products whose inputs were trained in int8 run in int8. What is
    left over is stored as float16. In ``int8`` and ``int4`` too, such weights keep their grid.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Literal

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

from export.quantize.onnx_int4 import four_bits
from export.quantize.products import multiply_integers
from export.quantize.storage import (
    float_weights,
    int8_tensors,
    product_weights,
    readers,
    store_half,
    store_int8,
    store_tables,
)
from export.quantize.trained import TrainedWeight, store_trained
from retrieval.encode.onnx import ACTIVATIONS, DYNAMIC

OnnxPrecision = Literal["fp32", "fp16", "int8", "int8-static", "mixed", "int4", "trained"]
WeightPrecision = Literal["fp32", "fp16", "int8", "int4", "trained"]
"""Those that need no inputs to be chosen by."""


def quantise(
    model: onnx.ModelProto,
    precision: WeightPrecision,
    *,
    trained: Mapping[str, TrainedWeight] | None = None,
    convolutions: Literal["int8", "fp16"] = "int8",
    keep: Collection[str] = (),
) -> onnx.ModelProto:
    """A copy of an fp32 graph in another precision.

    Args:
        model: Traced in float32; not changed.
        precision: What the module's description says of each.
        trained: Weights that lie on a grid; ``int8``, ``int4`` and ``trained`` store them as
            they are.
        convolutions: How ``int8`` stores other convolution weights; ``fp16`` for towers that
            suffer from the other.
        keep: Names of weights that ``int8`` leaves in float16.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    kept = dict(trained or {}) if precision in ("int8", "int4", "trained") else {}
    transformer = is_transformer(copy)
    if precision == "int4":
        kept = {**four_bits(copy), **kept}
    _take_out(copy, kept)
    integer = False
    if precision != "fp32":
        store_tables(copy, int8=precision in ("int8", "int4"))
    if precision in ("int8", "int4"):
        integer = precision == "int8" and transformer and _quantise_products(copy, keep)
        store_weights(copy, convolutions=convolutions, keep=keep)
    if precision != "fp32":
        store_half(copy)
    # Last, since the steps before would store its scales in float16.
    integer = store_trained(copy, kept) or integer
    say_activations(copy, DYNAMIC if integer else "float32")
    return copy


def say_activations(model: onnx.ModelProto, kind: str) -> None:
    """Put the type in which a tower computes into its metadata."""
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    helper.set_model_props(model, metadata | {ACTIVATIONS: kind})


def store_weights(
    model: onnx.ModelProto,
    *,
    convolutions: Literal["int8", "fp16"] = "int8",
    keep: Collection[str] = (),
) -> None:
    """Store what is left of the weights as int8, in place; they are computed in float32."""
    axes = {name: axis for name, axis in _channel_axes(model).items() if name not in keep}
    if convolutions == "fp16":
        axes = {name: axis for name, axis in axes.items() if not _feeds(model, name, "Conv")}
    store_int8(model, axes)


def _take_out(model: onnx.ModelProto, names: Collection[str]) -> None:
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name in names]:
        model.graph.initializer.remove(tensor)


def _feeds(model: onnx.ModelProto, name: str, kind: str) -> bool:
    return any(node.op_type == kind for node, _ in readers(model, name))


def is_transformer(model: onnx.ModelProto) -> bool:
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


def _quantise_products(model: onnx.ModelProto, keep: Collection[str]) -> bool:
    """Products of an activation and a weight matrix to int8; whether there was any."""
    wanted = set(product_weights(model)) - set(keep)
    for tensor, values in list(float_weights(model)):
        if tensor.name not in wanted:
            continue
        rounded, scales = int8_tensors(tensor.name, values, 1)
        del scales.dims[0]
        zeros = np.zeros(values.shape[1], np.int8)
        model.graph.initializer.remove(tensor)
        model.graph.initializer.extend(
            [rounded, scales, numpy_helper.from_array(zeros, f"{tensor.name}.zero")]
        )
        for node, _ in readers(model, tensor.name):
            multiply_integers(model.graph, node, tensor.name)
    return bool(wanted)

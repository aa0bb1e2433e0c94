"""Weights stored in few bytes and computed in float32.

A stored weight is followed by a ``Cast`` (and, for int8, a ``Mul`` with its scales). Both
have constant inputs, so ONNX Runtime folds them when it loads the file: the download and
the disk hold the small form, the arithmetic and its speed are those of float32. ``Cast``
and ``Mul`` rather than ``DequantizeLinear``, because by default ONNX Runtime keeps the
latter unfolded for its own quantised kernels.

Embedding tables are never folded: rows are looked up in the small form, then widened.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

SMALLEST_WEIGHT = 256
"""Arrays with fewer elements stay as they are: their bytes do not matter."""

_LINEAR = ("QuantizeLinear", "DequantizeLinear")
_HALF_MAX = float(np.finfo(np.float16).max)

Weights = NDArray[np.float32]
_Stored = tuple[list[TensorProto], list[NodeProto]]


def store_half(model: onnx.ModelProto) -> None:
    """Store every float32 weight that float16 can hold as float16, in place."""

    def half(name: str, values: Weights) -> _Stored | None:
        if float(np.abs(values).max()) > _HALF_MAX:
            return None
        stored = numpy_helper.from_array(values.astype(np.float16), f"{name}.half")
        return [stored], [widen(stored.name, name)]

    _replace(model, half)


def store_int8(model: onnx.ModelProto, axes: Mapping[str, int]) -> None:
    """Store the named weights as int8 with a scale per output channel, in place.

    Args:
        model: Changed.
        axes: For each initialiser to store, the axis of its output channels.
    """

    def int8(name: str, values: Weights) -> _Stored | None:
        if name not in axes:
            return None
        stored = int8_tensors(name, values, axes[name])
        wide = f"{name}.wide"
        nodes = [
            widen(stored[0].name, wide),
            helper.make_node("Mul", [wide, stored[1].name], [name]),
        ]
        return stored, nodes

    _replace(model, int8)


def store_tables(model: onnx.ModelProto, *, int8: bool) -> None:
    """Store embedding tables as float16, or as int8 with a scale per row, in place."""
    for tensor, values in list(float_weights(model)):
        uses = readers(model, tensor.name)
        if values.ndim != 2 or not uses or not all(looks_up_rows(*use) for use in uses):
            continue
        model.graph.initializer.remove(tensor)
        if int8:
            stored = int8_tensors(tensor.name, values, 0)
        else:
            stored = [numpy_helper.from_array(values.astype(np.float16), f"{tensor.name}.half")]
        model.graph.initializer.extend(stored)
        for node, _ in uses:
            substitute(model.graph, node, _look_up(node, [t.name for t in stored]))


def int8_tensors(name: str, values: Weights, axis: int) -> list[TensorProto]:
    """Symmetric int8 values and the scales, one for each index along ``axis``, that undo it."""
    others = tuple(i for i in range(values.ndim) if i != axis % values.ndim)
    largest = np.abs(values).max(axis=others, keepdims=True)
    scales = np.where(largest == 0, 1, largest / 127).astype(np.float32)
    rounded = np.round(values / scales).astype(np.int8)
    return [
        numpy_helper.from_array(rounded, f"{name}.int8"),
        numpy_helper.from_array(scales, f"{name}.scale"),
    ]


def float_weights(model: onnx.ModelProto) -> Iterator[tuple[TensorProto, Weights]]:
    """The float32 initialisers that are large enough to be worth shrinking.

    Scales of weights and activations that are int8 already are not among them.
    """
    scales = {name for n in model.graph.node if n.op_type in _LINEAR for name in n.input[1:]}
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and tensor.name not in scales:
            values = numpy_helper.to_array(tensor)
            if values.size >= SMALLEST_WEIGHT:
                yield tensor, values


def product_weights(model: onnx.ModelProto) -> list[str]:
    """Names of the weight matrices that activations are multiplied with.

    Products of two activations (queries with keys) are not among them, nor is the last
    projection (``Gemm``), whose rounding would go straight into the embedding.
    """
    names = []
    for tensor, values in float_weights(model):
        uses = readers(model, tensor.name)
        if values.ndim == 2 and uses and all(n.op_type == "MatMul" and p == 1 for n, p in uses):
            names.append(tensor.name)
    return names


def readers(model: onnx.ModelProto, name: str) -> list[tuple[NodeProto, int]]:
    """Every node that reads a value, and at which input."""
    return [
        (node, place)
        for node in model.graph.node
        for place, read in enumerate(node.input)
        if read == name
    ]


def widen(source: str, result: str) -> NodeProto:
    """A cast to float32."""
    return helper.make_node("Cast", [source], [result], to=TensorProto.FLOAT)


def substitute(graph: onnx.GraphProto, old: NodeProto, new: list[NodeProto]) -> None:
    """Put nodes in the place of one."""
    place = list(graph.node).index(old)
    graph.node.remove(old)
    for offset, node in enumerate(new):
        graph.node.insert(place + offset, node)


def _replace(model: onnx.ModelProto, store: Callable[[str, Weights], _Stored | None]) -> None:
    nodes: list[NodeProto] = []
    for tensor, values in list(float_weights(model)):
        stored = store(tensor.name, values)
        if stored is not None:
            model.graph.initializer.remove(tensor)
            model.graph.initializer.extend(stored[0])
            nodes.extend(stored[1])
    # In front of all others, since ONNX wants a value made before it is used.
    nodes.extend(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def looks_up_rows(node: NodeProto, place: int) -> bool:
    """Whether a node looks rows up in the table that is its input at ``place``."""
    along = next((a.i for a in node.attribute if a.name == "axis"), 0)
    return node.op_type == "Gather" and place == 0 and along == 0


def _look_up(node: NodeProto, stored: list[str]) -> list[NodeProto]:
    ids, out = node.input[1], node.output[0]
    rows = helper.make_node("Gather", [stored[0], ids], [f"{out}.rows"], axis=0)
    if len(stored) == 1:
        return [rows, widen(f"{out}.rows", out)]
    return [
        rows,
        widen(f"{out}.rows", f"{out}.wide"),
        helper.make_node("Gather", [stored[1], ids], [f"{out}.scale"], axis=0),
        helper.make_node("Mul", [f"{out}.wide", f"{out}.scale"], [out]),
    ]

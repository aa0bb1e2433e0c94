"""Int8 where layers bear it: the most sensitive stay in float.

Transformers compute products in int8 with activations rounded on the fly; convolutional
towers compute in int8 throughout, and so need photos to calibrate with.
"""

from collections.abc import Collection

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import shape_inference

from export.quantize.onnx import quantise
from export.quantize.onnx_biases import correct_biases
from export.quantize.onnx_static import find_ranges, quantise_static
from export.quantize.sensitivity import Layer, Mixed, keep_sensitive
from export.quantize.storage import product_weights, readers


def mix_products(model: onnx.ModelProto, inputs: NDArray[np.generic]) -> Mixed:
    """A transformer whose sensitive products stay in float.

    Args:
        model: Traced in float32.
        inputs: Real inputs to measure on.
    """
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in model.graph.initializer}
    layers = [Layer(name, sizes[name]) for name in product_weights(model)]

    def made(keep: Collection[str]) -> onnx.ModelProto:
        return quantise(model, "int8", keep=keep)

    return keep_sensitive(model, layers, inputs, made)


def mix_convolutions(model: onnx.ModelProto, inputs: NDArray[np.generic]) -> Mixed:
    """A convolutional tower whose sensitive convolutions stay in float.

    Args:
        model: Traced in float32.
        inputs: Real photos to calibrate and to measure with.
    """
    ranges = find_ranges(model, inputs)
    weights = {tensor.name: int(np.prod(tensor.dims)) for tensor in model.graph.initializer}
    places = _places(model)
    layers = [
        Layer(node.name, weights[node.input[1]] * places[node.output[0]])
        for node in model.graph.node
        if node.op_type == "Conv" and node.input[1] in weights
    ]

    def made(keep: Collection[str]) -> onnx.ModelProto:
        return quantise_static(model, ranges, keep=[*keep, *_activations(model, keep)])

    mixed = keep_sensitive(model, layers, inputs, made)
    correct_biases(model, mixed.model, inputs)
    return mixed


def _places(model: onnx.ModelProto) -> dict[str, int]:
    """How many places, height times width, tensors of four dimensions have."""
    shapes = {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in shape_inference.infer_shapes(model).graph.value_info
    }
    return {name: shape[2] * shape[3] for name, shape in shapes.items() if len(shape) == 4}


def _activations(model: onnx.ModelProto, convolutions: Collection[str]) -> list[str]:
    """Names of the nodes that cut off what these convolutions give; they belong to them."""
    return [
        reader.name
        for node in model.graph.node
        if node.name in convolutions
        for reader, _ in readers(model, node.output[0])
        if reader.op_type in ("Relu", "Clip")
    ]

"""Biases of static int8 ONNX graphs, corrected as `export.quantize.bias_correction` says."""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from export.quantize.bias_correction import PHOTOS, mended
from retrieval.encode.sessions import open_session

_AT_ONCE = 8


def correct_biases(
    model: onnx.ModelProto, quantised: onnx.ModelProto, inputs: NDArray[np.generic]
) -> None:
    """Change the biases of a quantised graph so that channels keep their mean outputs.

    Args:
        model: The same graph in float32, whose convolutions have the same names.
        quantised: With convolutions between ``DequantizeLinear`` and ``QuantizeLinear``; its
            integer biases are changed in place. Convolutions in float stay as they are.
        inputs: Real photos, as the tower takes them; at most `PHOTOS` are used.
    """
    inputs = inputs[:PHOTOS]
    arrays = {tensor.name: tensor for tensor in quantised.graph.initializer}
    makers = {node.output[0]: node for node in quantised.graph.node}
    places = {
        node.name: place
        for place, node in enumerate(quantised.graph.node)
        if node.op_type == "Conv" and len(node.input) == 3
    }
    convolutions = [node for node in model.graph.node if node.name in places]
    if not convolutions:
        return
    wanted = _channel_means(model, [node.output[0] for node in convolutions], inputs)
    for convolution, mean in zip(convolutions, wanted, strict=True):
        place = places[convolution.name]
        node = quantised.graph.node[place]
        source = makers.get(node.input[2])
        if source is None or source.op_type != "DequantizeLinear":
            continue
        [found] = _channel_means(quantised, [node.output[0]], inputs, last=place)
        tensor = arrays[source.input[0]]
        bias, scales = (numpy_helper.to_array(arrays[name]) for name in source.input[:2])
        bias = mended(bias, scales, wanted=mean, found=found)
        tensor.CopyFrom(numpy_helper.from_array(bias, tensor.name))


def _channel_means(
    model: onnx.ModelProto,
    names: Sequence[str],
    inputs: NDArray[np.generic],
    *,
    last: int | None = None,
) -> list[NDArray[np.float64]]:
    """Means ``(channels,)`` of tensors ``(batch, channels, height, width)`` over all inputs.

    Nodes behind the one at ``last`` are not computed.
    """
    asked = onnx.ModelProto()
    asked.CopyFrom(model)
    del asked.graph.output[:]
    if last is not None:
        del asked.graph.node[last + 1 :]
    asked.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    session = open_session(asked.SerializeToString(), fused=False)
    given = session.get_inputs()[0].name
    totals = [np.zeros(1)] * len(names)
    for start in range(0, len(inputs), _AT_ONCE):
        rows = inputs[start : start + _AT_ONCE]
        for index, output in enumerate(session.run(list(names), {given: rows})):
            totals[index] = totals[index] + output.mean(axis=(2, 3), dtype=np.float64).sum(axis=0)
    return [total / len(inputs) for total in totals]

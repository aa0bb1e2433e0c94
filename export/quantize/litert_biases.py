"""Biases of static int8 LiteRT files, corrected as `export.quantize.bias_correction` says.

Means are those that the next layer sees, behind an activation that is fused into the operation.
Values that it cuts off do not answer to a bias, so a step takes back a part of the shift. It is
not stretched by the share that answers: channels that are almost always cut off would move by
many times their shift.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.quantize.bias_correction import PHOTOS, mended
from export.targets.litert.flatbuffer import PRODUCTS
from export.targets.litert.packages import flatbuffers, interpreter


def correct_biases(model: bytes, quantised: bytes, inputs: NDArray[np.generic]) -> bytes:
    """A copy of a quantised file whose channels keep their mean outputs.

    Args:
        model: In float32.
        quantised: Made of it by the quantiser, which keeps the order of operations. Those that
            do not give int8 keep their biases.
        inputs: Real photos, as the file takes them; at most `PHOTOS` are used.
    """
    inputs = inputs[:PHOTOS]
    # Changed where they lie: writing the file anew would lose the alignment of its weights.
    corrected = bytearray(quantised)
    pairs = _corresponding(_read(model), _read(corrected))
    if not pairs:
        return quantised
    wanted = _channel_means(model, [before for before, _ in pairs], inputs)
    for (_, place), mean in zip(pairs, wanted, strict=True):
        [found] = _channel_means(corrected, [place], inputs)
        bias, scales = _stored_bias(corrected, place)
        bias[:] = mended(bias, scales, wanted=mean, found=found)
    return bytes(corrected)


def _read(model: bytes | bytearray) -> Any:
    return flatbuffers().read_model_from_bytearray(bytearray(model))


def _corresponding(model: Any, quantised: Any) -> list[tuple[int, int]]:
    """Places of operations in a file and of those in its quantised form that can be corrected."""
    tools = flatbuffers()
    (graph,) = quantised.subgraphs
    int8, int32 = tools.schema_fb.TensorType.INT8, tools.schema_fb.TensorType.INT32

    def correctable(operator: Any) -> bool:
        if len(operator.inputs) < 3 or operator.inputs[2] < 0:
            return False
        bias, output = (graph.tensors[i] for i in (operator.inputs[2], operator.outputs[0]))
        return bool(bias.type == int32 and output.type == int8)

    return [
        (before, after)
        for before, after in zip(_products(model), _products(quantised), strict=True)
        if correctable(graph.operators[after])
    ]


def _products(tree: Any) -> list[int]:
    tools = flatbuffers()
    (graph,) = tree.subgraphs
    return [
        place
        for place, operator in enumerate(graph.operators)
        if tools.opcode_to_name(tree, operator.opcodeIndex) in PRODUCTS
    ]


def _channel_means(
    model: bytes | bytearray, places: list[int], inputs: NDArray[np.generic]
) -> list[NDArray[np.float64]]:
    """Means ``(channels,)`` over all inputs of what the operations at some places give.

    Operations behind the last of them are not computed.
    """
    running = interpreter()(model_content=_cut(model, places), num_threads=1)
    running.allocate_tensors()
    (taken,), given = running.get_input_details(), running.get_output_details()
    totals = [np.zeros(1)] * len(given)
    for row in inputs:
        running.set_tensor(taken["index"], row[None])
        running.invoke()
        for index, detail in enumerate(given):
            values = running.get_tensor(detail["index"])
            channels = values.reshape(-1, values.shape[-1])
            totals[index] = totals[index] + channels.mean(axis=0, dtype=np.float64)
    means = []
    for total, detail in zip(totals, given, strict=True):
        scale, zero = detail["quantization"]
        mean = total / len(inputs)
        # Tensors in float have a scale of zero.
        means.append((mean - zero) * scale if scale else mean)
    return means


def _cut(model: bytes | bytearray, places: list[int]) -> bytes:
    """A file that gives what the operations at some places do, and ends with the last of them."""
    tree = _read(model)
    (graph,) = tree.subgraphs
    graph.outputs = [graph.operators[place].outputs[0] for place in places]
    del graph.operators[max(places) + 1 :]
    tree.signatureDefs = None
    for buffer in tree.buffers:
        if buffer.data is not None:
            # Anything else is written byte by byte, which takes seconds.
            buffer.data = np.frombuffer(buffer.data, np.uint8)
    return bytes(flatbuffers().convert_object_to_bytearray(tree))


def _stored_bias(
    model: bytearray, place: int
) -> tuple[NDArray[np.int32], NDArray[np.floating[Any]]]:
    """The bias of an operation where it lies in a file, and its scales."""
    tree = flatbuffers().schema_fb.Model.GetRootAs(model)
    graph = tree.Subgraphs(0)
    tensor = graph.Tensors(graph.Operators(place).Inputs(2))
    buffer = tree.Buffers(tensor.Buffer())
    # Large files keep their buffers behind the flatbuffer itself.
    start, size = buffer.Offset(), buffer.Size()
    data = np.frombuffer(model, np.uint8, size, start) if start > 1 else buffer.DataAsNumpy()
    return data.view(np.int32), tensor.Quantization().ScaleAsNumpy()

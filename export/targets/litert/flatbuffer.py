"""What LiteRT files carry besides the graph: metadata, and names of layers."""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.targets.litert.packages import flatbuffers

METADATA = "leanclip"
"""Name of the metadata buffer: JSON with what the bundle says of the tower."""

CHANNEL_ORDER = "channel_order"
"""Key in the metadata of image towers: ``RGB`` or ``BGR``."""

TOWER = "tower/"
"""In the names of all that a tower computes; what is around it normalises its input and its
output."""

DEPTHWISE = "DEPTHWISE_CONV_2D"

PRODUCTS = ("CONV_2D", DEPTHWISE, "FULLY_CONNECTED")
"""Operations that hold almost all weights and almost all of the time."""

_CLASS_AND_NAME = re.compile(r"^(?:.*\.)?[A-Za-z0-9]+_(\w+)$")
_STORED = {"INT8": np.int8, "FLOAT16": np.float16, "FLOAT32": np.float32}
"""Types of weights."""

_COUNTER = re.compile(r"^\d+$")


class Signature(NamedTuple):
    """How a model is called: names of the signature, its input and its output."""

    name: str
    input: str
    output: str


def annotate(model: bytes, metadata: Mapping[str, str]) -> bytes:
    """Add metadata, and call each tensor by the path of its layer.

    The converter names tensors by the Python class of every module on the way, which outweighs
    the graph of a small tower.
    """
    tools = flatbuffers()
    tree = tools.read_model_from_bytearray(bytearray(model))
    _rename(tree)
    buffer = tools.BufferT()
    buffer.data = list(json.dumps(dict(metadata)).encode())
    entry = tools.schema_fb.MetadataT()
    entry.name = METADATA
    entry.buffer = len(tree.buffers)
    tree.buffers.append(buffer)
    tree.metadata = [*(tree.metadata or []), entry]
    return bytes(tools.convert_object_to_bytearray(tree))


def read_metadata(model: bytes) -> dict[str, str]:
    """What `annotate` stored; empty in files that it did not write."""
    tree = flatbuffers().schema_fb.Model.GetRootAs(model)
    for index in range(tree.MetadataLength()):
        entry = tree.Metadata(index)
        if entry.Name() == METADATA.encode():
            found: dict[str, str] = json.loads(tree.Buffers(entry.Buffer()).DataAsNumpy().tobytes())
            return found
    return {}


def operations(model: bytes) -> list[tuple[str, str]]:
    """Kind of each operation, such as ``CONV_2D``, and type of its first output."""
    tools = flatbuffers()
    tree = tools.read_model_from_bytearray(bytearray(model))
    (graph,) = tree.subgraphs
    return [
        (
            tools.opcode_to_name(tree, operator.opcodeIndex),
            tools.type_to_name(graph.tensors[operator.outputs[0]].type),
        )
        for operator in graph.operators
    ]


def weights(model: bytes) -> list[NDArray[np.float32]]:
    """Every stored tensor of two dimensions or more, as the numbers that it stands for.

    Kernels of convolutions are turned into PyTorch's order: outputs, inputs, height, width.
    """
    tools = flatbuffers()
    tree = tools.read_model_from_bytearray(bytearray(model))
    (graph,) = tree.subgraphs
    depthwise = {
        index
        for operator in graph.operators
        if tools.opcode_to_name(tree, operator.opcodeIndex) == DEPTHWISE
        for index in _sources(graph, operator.inputs[1])
    }
    found = []
    for index, tensor in enumerate(graph.tensors):
        values = _numbers(tools, tree, tensor)
        if values is not None and values.ndim == 4:
            values = values.transpose((3, 0, 1, 2) if index in depthwise else (0, 3, 1, 2))
        if values is not None:
            found.append(values)
    return found


def _sources(graph: Any, index: int) -> list[int]:
    """A tensor, and what it is widened from when the file is loaded."""
    makers = [operator.inputs[0] for operator in graph.operators if index in operator.outputs]
    return [index, *makers]


def _numbers(tools: Any, tree: Any, tensor: Any) -> NDArray[np.float32] | None:
    """What a stored tensor stands for; None for all others, and for those that hold no weight."""
    kind = _STORED.get(tools.type_to_name(tensor.type))
    data = tree.buffers[tensor.buffer].data
    if kind is None or data is None or tensor.shape is None or len(tensor.shape) < 2:
        return None
    values = np.frombuffer(bytes(data), kind).reshape(tensor.shape).astype(np.float32)
    scales = getattr(tensor.quantization, "scale", None)
    if kind is not np.int8 or scales is None:
        return values
    shape = [1] * values.ndim
    shape[tensor.quantization.quantizedDimension] = -1
    return values * np.asarray(scales, np.float32).reshape(shape if len(scales) > 1 else -1)


def signature_of(model: bytes) -> Signature:
    """The only signature of a model."""
    (found,) = flatbuffers().read_model_from_bytearray(bytearray(model)).signatureDefs
    (taken,), (given,) = found.inputs, found.outputs
    return Signature(found.signatureKey.decode(), taken.name.decode(), given.name.decode())


def _rename(tree: Any) -> None:
    (graph,) = tree.subgraphs
    outside = {*graph.inputs, *graph.outputs}
    taken: set[str] = set()
    for index, tensor in enumerate(graph.tensors):
        name = tensor.name.decode() if tensor.name else ""
        if index not in outside:
            # The quantiser knows tensors by their names, so each needs its own.
            name = _layer(name)
            name = f"{name}#{index}" if name in taken else name
        taken.add(name)
        tensor.name = name


def _layer(name: str) -> str:
    """The path of the layer, or of the layers that were fused, in the converter's name."""
    paths = []
    for path in name.split(";"):
        parts = [_CLASS_AND_NAME.sub(r"\1", part) for part in path.split("/") if part]
        if parts and not _COUNTER.match(path):
            paths.append("/".join(parts[1:] or parts) + "/")
    return ";".join(dict.fromkeys(paths)) or "constant"

"""Codes in few bits: several to a byte, taken apart by operations that every runtime has.

ONNX's own 4-bit type is not used: embedding rows cannot be looked up in it, and it asks for
a newer opset than runtimes on the web and on phones read.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from export.quantize.storage import widen
from retrieval.spec.quantisation import Kind

_BITS: dict[Kind, int] = {"int8": 8, "int4": 4, "ternary": 2}


@dataclass(frozen=True)
class Packed:
    """Codes as they lie in a file.

    Attributes:
        name: Prefix of all values that belong to them.
        offset: What was added to each code so that it is not negative; 0 where codes are
            int8.
        tensors: What to store.
        nodes: Take the stored codes apart; empty for tables, see `look_up`.
        codes: The value that the nodes make, or the stored tensor: ``(rows, columns)``.
    """

    name: str
    offset: int
    tensors: list[TensorProto]
    nodes: list[NodeProto]
    codes: str

    def widen(self, codes: str, result: str) -> list[NodeProto]:
        """Codes as float32, around zero."""
        if not self.offset:
            return [widen(codes, result)]
        positive = f"{result}.positive"
        centre = helper.make_node("Sub", [positive, f"{self.name}.offset"], [result])
        return [widen(codes, positive), centre]

    def look_up(self, ids: str, last: str, out: str) -> tuple[str, list[NodeProto]]:
        """Codes of a table's rows.

        Args:
            ids: Which rows, ``(batch, length)``.
            last: Names a stored ``[-1]``.
            out: Prefix of all values.

        Returns:
            Name of the codes, and what makes them.
        """
        rows = helper.make_node("Gather", [self.codes, ids], [f"{out}.rows"], axis=0)
        if not self.offset:
            return f"{out}.rows", [rows]
        apart = helper.make_node("Unsqueeze", [f"{out}.rows", last], [f"{out}.bytes"])
        return f"{out}.codes", [rows, apart, *_shift(self.name, f"{out}.bytes", f"{out}.codes")]


def pack(name: str, codes: NDArray[np.int8], kind: Kind, *, by_row: bool = False) -> Packed:
    """Codes ``(rows, columns)`` in as few bytes as their kind allows.

    Codes that do not fill whole bytes are stored as int8.

    Args:
        name: Prefix of all values.
        codes: Whole numbers around zero.
        kind: Decides the bits of a code.
        by_row: Keep rows apart, to be looked up; else they are unpacked whole.
    """
    bits = _BITS[kind]
    per_byte = 8 // bits
    filled = codes.shape[1] if by_row else codes.size
    if bits == 8 or filled % per_byte:
        stored = numpy_helper.from_array(codes, f"{name}.codes")
        return Packed(name, 0, [stored], [], stored.name)
    offset = 2 ** (bits - 1)
    shifts = (np.arange(per_byte) * bits).astype(np.uint8)
    shifted = (codes + offset).astype(np.uint8).reshape(-1, per_byte) << shifts
    packed = np.bitwise_or.reduce(shifted, axis=1)
    packed = packed.reshape(len(codes), -1) if by_row else packed[:, None]
    tensors = [
        numpy_helper.from_array(packed, f"{name}.packed"),
        numpy_helper.from_array(shifts, f"{name}.shifts"),
        numpy_helper.from_array(np.array(2**bits - 1, np.uint8), f"{name}.mask"),
        numpy_helper.from_array(np.array(offset, np.float32), f"{name}.offset"),
    ]
    if by_row:
        return Packed(name, offset, tensors, [], f"{name}.packed")
    tensors.append(numpy_helper.from_array(np.array(codes.shape), f"{name}.code_shape"))
    nodes = [
        *_shift(name, f"{name}.packed", f"{name}.flat"),
        helper.make_node("Reshape", [f"{name}.flat", f"{name}.code_shape"], [f"{name}.codes"]),
    ]
    return Packed(name, offset, tensors, nodes, f"{name}.codes")


def _shift(name: str, packed: str, result: str) -> list[NodeProto]:
    """Bytes ``(..., 1)`` to codes ``(..., codes per byte)``, uint8."""
    shifted = f"{result}.shifted"
    shift = helper.make_node("BitShift", [packed, f"{name}.shifts"], [shifted], direction="RIGHT")
    return [shift, helper.make_node("BitwiseAnd", [shifted, f"{name}.mask"], [result])]

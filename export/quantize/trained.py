"""Weights that were trained on a grid: found in a graph, and stored as exactly their codes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from export.quantize.grids import read_grid
from export.quantize.packing import pack
from export.quantize.products import multiply_integers
from export.quantize.storage import looks_up_rows, readers, substitute, widen
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.errors import ExportError
from retrieval.spec.quantisation import Grid
from retrieval.spec.tower import Tower

Precision = Literal["int8", "int4", "mixed"]


@dataclass(frozen=True)
class TrainedWeight:
    """An initialiser of a traced graph and the grid that it lies on.

    Attributes:
        name: Of the weight in the model.
        grid: What training says.
        codes: ``(rows, columns)``, in the order of the model's weight.
        scales: ``(rows, 1)``, float32.
        shape: Of the model's weight.
        transposed: Whether the graph holds the weight transposed.
        dynamic: Whether it was trained with inputs in int8.
    """

    name: str
    grid: Grid
    codes: NDArray[np.int8]
    scales: NDArray[np.float32]
    shape: tuple[int, ...]
    transposed: bool
    dynamic: bool


def find_trained(
    traced: onnx.ModelProto, model: DualEncoder, tower: Tower
) -> dict[str, TrainedWeight]:
    """The weights of a traced tower that the model's configuration promises a grid for.

    Tracing keeps the names of most weights and folds batch norm into convolutions, which
    multiplies whole rows; the weights of matrix products it transposes and renames, so these
    are found by their values.

    Args:
        traced: In float32.
        model: What was traced.
        tower: Which of its towers that was.

    Returns:
        By name of the initialiser.

    Raises:
        ExportError: A weight is not in the graph, or not on its grid.
    """
    quantisation = model.config.quantisation
    if quantisation is None or (quantisation := quantisation.only([tower])) is None:
        return {}
    arrays = {t.name: numpy_helper.to_array(t) for t in traced.graph.initializer}
    by_value = {_key(values): name for name, values in arrays.items()}
    weights = dict(model.named_parameters())
    found = {}
    for name, grid in quantisation.grids.items():
        if name not in weights:
            raise ExportError(f"config.json promises a grid for {name}, which the model lacks")
        weight = weights[name].detach().numpy()
        kept = f"tower.{name.removeprefix(f'{tower}.')}"
        transposed = kept not in arrays or arrays[kept].shape != weight.shape
        place = by_value.get(_key(weight.T)) if transposed else kept
        if place is None:
            raise ExportError(
                f"{name} was trained on a grid, but the traced {tower} tower does not have it; "
                "leave it out with quantise.skip, or export in fp16"
            )
        values = arrays[place].T if transposed else arrays[place]
        codes, scales = read_grid(name, values, grid)
        dynamic = name in quantisation.dynamic
        found[place] = TrainedWeight(name, grid, codes, scales, weight.shape, transposed, dynamic)
    return found


def store_trained(model: onnx.ModelProto, found: Mapping[str, TrainedWeight]) -> bool:
    """Store the weights as their codes and scales, in place.

    Args:
        model: Changed. It lacks the initialisers that are stored.
        found: By name of the initialiser.

    Returns:
        Whether there are products in int8 among them.
    """
    constant: list[NodeProto] = []
    integer = False
    for name, weight in found.items():
        uses = readers(model, name)
        if uses and all(looks_up_rows(*use) for use in uses):
            constant += _store_table(model, name, weight)
        elif weight.dynamic and all(node.op_type == "MatMul" for node, _ in uses):
            constant += _store_factor(model, name, weight)
            integer = True
        else:
            constant += _store_weight(model, name, weight)
    # In front of all others, since ONNX wants a value made before it is used.
    nodes = [*constant, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return integer


def precision_of(found: Mapping[str, TrainedWeight]) -> Precision:
    """How a manifest calls a tower with these weights."""
    kinds = {weight.grid.kind for weight in found.values()}
    only = kinds.pop() if len(kinds) == 1 else "mixed"
    return "mixed" if only == "ternary" else only


def _store_weight(model: onnx.ModelProto, name: str, weight: TrainedWeight) -> list[NodeProto]:
    """Make the weight in float32 from its codes; returns constant nodes.

    ONNX Runtime folds these when it reads the file, as it does all of
    `export.quantize.storage`.
    """
    packed = pack(name, weight.codes, weight.grid.kind)
    scales, widened = _add_scales(model, name, weight.scales)
    made = f"{name}.rows" if weight.transposed else name
    _add(model, {f"{name}.shape": np.array(weight.shape)}, packed.tensors)
    nodes = [
        *packed.nodes,
        *widened,
        *packed.widen(packed.codes, f"{name}.wide"),
        helper.make_node("Mul", [f"{name}.wide", scales], [f"{name}.scaled"]),
        helper.make_node("Reshape", [f"{name}.scaled", f"{name}.shape"], [made]),
    ]
    if weight.transposed:
        nodes.append(helper.make_node("Transpose", [made], [name], perm=[1, 0]))
    return nodes


def _store_factor(model: onnx.ModelProto, name: str, weight: TrainedWeight) -> list[NodeProto]:
    """Multiply in int8 with inputs rounded on the fly; returns constant nodes."""
    packed = pack(name, weight.codes, weight.grid.kind)
    zeros = np.full(len(weight.scales), packed.offset, np.uint8 if packed.offset else np.int8)
    arrays: dict[str, NDArray[Any]] = {f"{name}.zero": zeros, f"{name}.scale": weight.scales[:, 0]}
    _add(model, arrays, packed.tensors)
    for node, _ in readers(model, name):
        multiply_integers(model.graph, node, name)
    # Products want codes as (inputs, outputs).
    turned = helper.make_node("Transpose", [packed.codes], [f"{name}.int8"], perm=[1, 0])
    return [*packed.nodes, turned]


def _store_table(model: onnx.ModelProto, name: str, weight: TrainedWeight) -> list[NodeProto]:
    """Look rows up in the small form, then widen what was found; returns constant nodes."""
    rows, width = weight.shape
    packed = pack(name, weight.codes.reshape(rows, width), weight.grid.kind, by_row=True)
    per_row = weight.scales.reshape(rows, -1)
    scales, constant = _add_scales(model, name, per_row)
    groups, whole, last = f"{name}.groups", f"{name}.width", f"{name}.last"
    arrays = {
        groups: np.array([0, 0, per_row.shape[1], -1]),
        whole: np.array([0, 0, width]),
        last: np.array([-1]),
    }
    _add(model, arrays, packed.tensors)
    for node, _ in readers(model, name):
        ids, out = node.input[1], node.output[0]
        codes, nodes = packed.look_up(ids, last, out)
        nodes += [
            *packed.widen(codes, f"{out}.wide"),
            helper.make_node("Reshape", [f"{out}.wide", groups], [f"{out}.groups"]),
            helper.make_node("Gather", [scales, ids], [f"{out}.scales"], axis=0),
            helper.make_node("Unsqueeze", [f"{out}.scales", last], [f"{out}.scale"]),
            helper.make_node("Mul", [f"{out}.groups", f"{out}.scale"], [f"{out}.scaled"]),
            helper.make_node("Reshape", [f"{out}.scaled", whole], [out]),
        ]
        substitute(model.graph, node, nodes)
    return constant


def _add_scales(
    model: onnx.ModelProto, name: str, scales: NDArray[np.float32]
) -> tuple[str, list[NodeProto]]:
    """Add scales to a graph, as float16 where that is exact; their name and a constant node."""
    with np.errstate(over="ignore"):
        half = scales.astype(np.float16)
    if not (half.astype(np.float32) == scales).all():
        _add(model, {f"{name}.scale": scales}, [])
        return f"{name}.scale", []
    _add(model, {f"{name}.scale.half": half}, [])
    return f"{name}.scale", [widen(f"{name}.scale.half", f"{name}.scale")]


def _add(
    model: onnx.ModelProto, arrays: Mapping[str, NDArray[Any]], tensors: list[TensorProto]
) -> None:
    made = [numpy_helper.from_array(values, name) for name, values in arrays.items()]
    model.graph.initializer.extend([*made, *tensors])


def _key(values: NDArray[Any]) -> tuple[tuple[int, ...], bytes]:
    return values.shape, np.ascontiguousarray(values).tobytes()

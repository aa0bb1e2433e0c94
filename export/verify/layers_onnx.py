"""Intermediate results of ONNX files, made visible as outputs more."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.verify.layers import Layer
from retrieval.encode.sessions import open_session


def onnx_layers(exact: Path, path: Path, row: NDArray[np.generic]) -> list[Layer]:
    """What an fp32 file and another make on the way, by the names that both know.

    Args:
        exact: The fp32 file.
        path: Made from the same trace, which gives intermediate results their names.
        row: One input as both take it.
    """
    one, other = onnx.load(exact), onnx.load(path)
    theirs = {name for node in other.graph.node for name in node.output}
    shared = [name for node in one.graph.node for name in node.output if name in theirs]
    expected, found = _results(one, shared, row), _results(other, shared, row)
    kept = [
        name
        for name in shared
        if expected[name].dtype.kind == "f" and expected[name].shape == found[name].shape
    ]
    index = {name: position for position, name in enumerate(kept)}
    sources, titles = _sources(one, index), _titles(one)
    return [Layer(titles[name], sources[name], expected[name], found[name]) for name in kept]


def _results(
    model: onnx.ModelProto, names: Sequence[str], row: NDArray[np.generic]
) -> dict[str, NDArray[Any]]:
    """Intermediate results by name."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = open_session(copy.SerializeToString())
    given = {session.get_inputs()[0].name: row}
    return dict(zip(names, session.run(list(names), given), strict=True))


def _sources(model: onnx.ModelProto, index: dict[str, int]) -> dict[str, tuple[int, ...]]:
    """For each result, the nearest results before it that are among those of ``index``."""
    nearest: dict[str, frozenset[int]] = {}
    sources: dict[str, tuple[int, ...]] = {}
    for node in model.graph.node:
        before = frozenset[int]().union(*(nearest.get(name, frozenset()) for name in node.input))
        for name in node.output:
            sources[name] = tuple(sorted(before))
            nearest[name] = frozenset({index[name]}) if name in index else before
    return sources


def _titles(model: onnx.ModelProto) -> dict[str, str]:
    """Operation, and weights, which bear the names of the module, that it or its reader takes."""
    weights = {tensor.name for tensor in model.graph.initializer}
    taken = [[name for name in node.input if name in weights] for node in model.graph.node]
    readers: dict[str, list[str]] = {}
    for node, own in zip(model.graph.node, taken, strict=True):
        for name in node.input:
            readers.setdefault(name, []).extend(one for one in own if "." in one)
    titles: dict[str, str] = {}
    for node, own in zip(model.graph.node, taken, strict=True):
        for name in node.output:
            told = own if any("." in one for one in own) else own + readers.get(name, [])
            titles[name] = f"{node.op_type} {name}" + (f" ({', '.join(told)})" if told else "")
    return titles

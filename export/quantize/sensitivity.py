"""Which layers suffer most from few bits, found by quantising each of them alone."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.verify.parity import run_rows

TARGET = 0.999
"""Mean cosine to float32 at which no more layers are kept in float."""
SHARE = 0.1
"""Of all layers' work, how much those that are kept in float may have: they take back time."""
LEAST_GAIN = 0.02
"""Part of the remaining error that a layer must save to be kept."""
INPUTS = 16
"""Photos or sentences that layers are measured on."""


@dataclass(frozen=True)
class Layer:
    """One that can be quantised or kept.

    Attributes:
        name: Of its node or weight.
        work: Multiply-adds for one input; of a text tower, for one token of it.
    """

    name: str
    work: int


@dataclass(frozen=True)
class Mixed:
    """A graph some of whose layers were kept in float, and why those.

    Attributes:
        model: The graph.
        notes: For ``report.json``.
    """

    model: onnx.ModelProto
    notes: dict[str, Any]


def keep_sensitive(
    model: onnx.ModelProto,
    layers: Sequence[Layer],
    inputs: NDArray[np.generic],
    quantise: Callable[[Collection[str]], onnx.ModelProto],
) -> Mixed:
    """Keep layers in float, the most sensitive first, until the target or the share is reached.

    Layers are ranked by the error that each causes when it alone is quantised.

    Args:
        model: Traced in float32.
        layers: Those that can be quantised.
        inputs: Real inputs, as the tower takes them; at most `INPUTS` are used.
        quantise: Makes the graph with the layers of the given names kept in float.
    """
    inputs = inputs[:INPUTS]
    expected = run_rows(model.SerializeToString(), inputs)

    def cosine(made: onnx.ModelProto) -> float:
        found = run_rows(made.SerializeToString(), inputs)
        return float(np.mean((expected * found).sum(axis=1)))

    names = [layer.name for layer in layers]
    alone = {name: 1 - cosine(quantise([n for n in names if n != name])) for name in names}
    ranked = sorted(layers, key=lambda layer: alone[layer.name], reverse=True)
    room = SHARE * sum(layer.work for layer in layers)
    kept: list[Layer] = []
    made = quantise([])
    reached = before = cosine(made)
    for layer in ranked:
        if reached >= TARGET:
            break
        if layer.work > room:
            continue
        candidate = quantise([other.name for other in (*kept, layer)])
        # Errors of layers may cancel out: one that is bad alone may do no harm among others.
        if (found := cosine(candidate)) - reached > LEAST_GAIN * (1 - reached):
            kept, made, reached = [*kept, layer], candidate, found
            room -= layer.work
    notes = {
        "kept_in_float": [
            {"layer": layer.name, "error_alone": round(alone[layer.name], 7)} for layer in kept
        ],
        "kept_because": "quantised alone they change the embedding, and in float they mend it",
        "mean_cosine_without": before,
        "mean_cosine": reached,
        "cosine_target": TARGET,
        "share_of_work_limit": SHARE,
    }
    return Mixed(made, notes)

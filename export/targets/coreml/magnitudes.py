"""How large the numbers in a tower get, and whether float16 can hold them."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from torch import Tensor, fx
from torch.export import ExportedProgram

from retrieval.spec.errors import ExportError

LARGEST_HALF = 65504.0
"""The largest number that float16 holds."""


class Magnitude(NamedTuple):
    """The largest absolute value that a tower reached, and the layer that made it."""

    value: float
    layer: str

    @property
    def fits_half(self) -> bool:
        """Whether float16 can hold it."""
        return self.value <= LARGEST_HALF


def largest_value(program: ExportedProgram, inputs: Iterable[Tensor]) -> Magnitude:
    """Run a tower in float32 and look at every weight and every result on the way.

    Args:
        program: The traced tower.
        inputs: One at a time, as it takes them.

    Raises:
        ExportError: A weight or a result is not a finite number even in float32.
    """
    watcher = _Watcher(program.module())
    for one in inputs:
        watcher.run(one)
        if watcher.broken is not None:
            raise ExportError(
                f"{watcher.broken} gives numbers that are not finite; "
                "the weights are damaged or diverged in training"
            )
    return watcher.largest


class _Watcher(fx.Interpreter):
    """Runs a graph and remembers how large its numbers are.

    Attributes:
        largest: What was met so far.
        broken: The first layer with a number that is not finite.
    """

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.largest = Magnitude(0.0, "")
        self.broken: str | None = None

    def run_node(self, node: fx.Node) -> Any:
        result = super().run_node(node)
        if isinstance(result, Tensor) and result.is_floating_point() and result.numel():
            value = float(result.abs().max())
            if value > self.largest.value:
                self.largest = Magnitude(value, _layer(node))
            # Not an exception: the interpreter would add a page to its message.
            if not math.isfinite(value) and self.broken is None:
                self.broken = _layer(node)
        return result


def _layer(node: fx.Node) -> str:
    """The module that a node was traced from, or the name of a weight."""
    if node.op == "get_attr":
        return str(node.target)
    stack = node.meta.get("nn_module_stack") or {}
    names = [path for path, _ in stack.values() if path]
    return names[-1] if names else node.name

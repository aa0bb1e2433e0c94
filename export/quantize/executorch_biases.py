"""Biases of static int8 PyTorch programs, corrected as `export.quantize.bias_correction` says.

They stay in float until the program is lowered. A convolution adds its bias last, so that
photos are computed once, side by side from node to node: what a bias gains, its outputs gain.
"""

import operator
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node

from export.quantize.bias_correction import PHOTOS

_CONVOLUTION = torch.ops.aten.conv2d.default

Visit = Callable[[Node, list[Tensor]], list[Tensor]]


def channel_means(model: GraphModule, rows: Sequence[Tensor]) -> dict[str, Tensor]:
    """Mean output ``(channels,)`` of each convolution, by the name of its node.

    Args:
        model: Whose means they are.
        rows: Photos as it takes them, each a batch of one; at most `PHOTOS` are used.
    """
    means = {}

    def note(node: Node, outputs: list[Tensor]) -> list[Tensor]:
        means[node.name] = _mean(outputs)
        return outputs

    _walk(model, rows, note)
    return means


def correct_biases(
    quantised: GraphModule, wanted: dict[str, Tensor], rows: Sequence[Tensor]
) -> None:
    """Change the biases of a quantised program so that channels keep their mean outputs.

    Args:
        quantised: Changed in place.
        wanted: From `channel_means` of the program in float, whose nodes have the same names.
        rows: As there.
    """

    def mend(node: Node, outputs: list[Tensor]) -> list[Tensor]:
        bias = node.args[2] if len(node.args) > 2 else None
        if not isinstance(bias, Node) or bias.op != "get_attr" or node.name not in wanted:
            return outputs
        shift = wanted[node.name] - _mean(outputs)
        operator.attrgetter(str(bias.target))(quantised).add_(shift)
        return [output + shift[:, None, None] for output in outputs]

    _walk(quantised, rows, mend)


def _mean(outputs: list[Tensor]) -> Tensor:
    return torch.cat(outputs).mean(dim=(0, 2, 3))


def _walk(model: GraphModule, rows: Sequence[Tensor], visit: Visit) -> None:
    """Compute all rows node by node; ``visit`` may replace what convolutions give."""
    walkers = [Interpreter(model) for _ in rows[:PHOTOS]]
    for walker, row in zip(walkers, rows, strict=False):
        walker.args_iter = iter((row,))
    with torch.no_grad():
        for node in model.graph.nodes:
            outputs = [walker.run_node(node) for walker in walkers]
            if node.target is _CONVOLUTION:
                outputs = visit(node, outputs)
            for walker, output in zip(walkers, outputs, strict=True):
                walker.env[node] = output
                for used in walker.user_to_last_uses.get(node, ()):
                    del walker.env[used]

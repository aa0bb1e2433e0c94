"""The towers as Core ML runs them: an image object or token ids in, length one out."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.targets.graphs import Graph, ImageGraph
from export.targets.target import Inputs
from retrieval.spec.preprocessing import Preprocessing

IMAGE = "image"
TOKENS = "tokens"
EMBEDDING = "embedding"

SMALLEST_HALF = 2.0**-14
"""The smallest number that float16 holds with all of its digits."""


class Scaling(NamedTuple):
    """Pixels 0 to 255 to what a tower was trained on, ``(pixel * scale + bias) * ratio``.

    Core ML scales an image by one number for all channels and adds one for each. What is
    left of a deviation for each channel is a factor close to one, in the graph.
    """

    scale: float
    bias: tuple[float, ...]
    ratio: tuple[float, ...]


def scaling(spec: Preprocessing) -> Scaling:
    """Split the normalisation of a preprocessing between the image input and the graph."""
    low, high = spec.value_range
    middle = sum(spec.std) / len(spec.std)
    ratio = tuple(middle / std for std in spec.std)
    bias = tuple((low - mean) / middle for mean in spec.mean)
    return Scaling((high - low) / 255 / middle, bias, ratio)


class CoreMLImageGraph(nn.Module):
    """Scaled pixels ``(1, 3, size, size)`` in RGB to an embedding ``(1, dim)``."""

    def __init__(self, graph: ImageGraph) -> None:
        super().__init__()
        self.tower = graph.tower
        ratio = torch.tensor(scaling(graph.spec).ratio)
        self.ratio: Tensor | None
        self.register_buffer("ratio", None if bool((ratio == 1).all()) else ratio.view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        if self.ratio is not None:
            image = image * self.ratio
        return unit_length(self.tower(image))


class CoreMLTextGraph(nn.Module):
    """int32 token ids ``(1, context)`` to an embedding ``(1, dim)``."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, tokens: Tensor) -> Tensor:
        return unit_length(self.tower(tokens))


CoreMLGraph = CoreMLImageGraph | CoreMLTextGraph


def coreml_graph(graph: Graph) -> CoreMLGraph:
    """A tower as Core ML calls it; weights are shared."""
    if isinstance(graph, ImageGraph):
        return CoreMLImageGraph(graph).eval()
    return CoreMLTextGraph(graph.tower).eval()


def graph_input(row: Inputs, spec: Preprocessing, graph: CoreMLGraph) -> Tensor:
    """One of a conversion's examples as the graph takes it, a batch of one."""
    values = torch.from_numpy(row[None])
    if isinstance(graph, CoreMLTextGraph):
        return values.int()
    scale, bias, _ = scaling(spec)
    return values.float() * scale + torch.tensor(bias).view(1, 3, 1, 1)


def unit_length(embedding: Tensor) -> Tensor:
    """Scale each row of ``(batch, dim)`` to length one, within float16's reach.

    Dividing by the largest element first keeps the squares from overflowing, and those of
    a short embedding from vanishing.
    """
    largest = embedding.abs().amax(dim=-1, keepdim=True).clamp(min=SMALLEST_HALF)
    return F.normalize(embedding / largest, dim=-1)

"""A tower in PyTorch to an fp32 LiteRT model in memory."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.targets.graphs import Graph, ImageGraph, TextGraph, exportable
from export.targets.litert.flatbuffer import annotate
from export.targets.litert.packages import litert_torch
from export.targets.quiet import silenced
from retrieval.spec.errors import ExportError
from retrieval.spec.reasons import first_line

PIXELS = "pixels"
TOKENS = "tokens"
EMBEDDING = "embedding"


class ChannelLastImage(nn.Module):
    """An image tower that takes its pixels as a phone's bitmap has them."""

    def __init__(self, graph: ImageGraph) -> None:
        super().__init__()
        # A module of the name "graph" would hide what torch.export keeps under that name.
        self.inner = graph

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """uint8 ``(1, size, size, 3)`` to ``(1, dim)``."""
        if self.inner.spec.layout == "NCHW":
            pixels = pixels.permute(0, 3, 1, 2)
        return {EMBEDDING: self.inner(pixels)}


class NamedText(nn.Module):
    """A text tower whose output has a name."""

    def __init__(self, graph: TextGraph) -> None:
        super().__init__()
        self.inner = graph

    def forward(self, tokens: Tensor) -> dict[str, Tensor]:
        """int32 ids ``(1, context)`` to ``(1, dim)``."""
        return {EMBEDDING: self.inner(tokens)}


def convert(graph: Graph, row: NDArray[np.generic], *, metadata: Mapping[str, str]) -> bytes:
    """Convert one tower; its batch is one, since XNNPACK plans memory for fixed shapes.

    Args:
        graph: From `image_graph` or `text_graph`.
        row: Example of one row, as the file takes it.
        metadata: Stored in the model for people who meet the file alone.

    Raises:
        ExportError: An operation has no converter.
        MissingExtraError: The converter is not installed.
    """
    package = litert_torch()
    named: nn.Module
    if isinstance(graph, ImageGraph):
        named, name = ChannelLastImage(graph), PIXELS
    else:
        named, name = NamedText(graph), TOKENS
    try:
        with exportable(named.eval()), silenced():
            made = package.convert(named, sample_kwargs={name: torch.from_numpy(row)})
            model: bytes = made.model_content()
    except OSError:
        raise
    except Exception as error:  # Every converter of an operation raises what it likes.
        reason = first_line(error)
        raise ExportError(f"the tower that takes {name} cannot become LiteRT: {reason}") from error
    return annotate(model, metadata)

"""The towers as hosts call them, before they are converted to any format."""

import contextlib
import logging
import warnings
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import retrieval.models.torchvision_guard  # noqa: F401  (before timm)
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.normalise import PixelNormaliser
from retrieval.models.transformer import set_fused_attention
from retrieval.spec.preprocessing import Preprocessing


class ImageGraph(nn.Module):
    """Pixels as the host has them, to embeddings of length one."""

    def __init__(self, tower: nn.Module, spec: Preprocessing) -> None:
        super().__init__()
        self.tower = tower
        self.normaliser = PixelNormaliser(spec)
        self.spec = spec

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels of the spec's type, layout and channel order to ``(batch, dim)``."""
        if self.spec.layout == "NHWC":
            pixels = pixels.permute(0, 3, 1, 2)
        pixels = pixels.float()
        if self.spec.channel_order == "BGR":
            pixels = pixels.flip(1)
        return F.normalize(self.tower(self.normaliser(pixels)), dim=-1)


class TextGraph(nn.Module):
    """Token ids to embeddings of length one."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, tokens: Tensor) -> Tensor:
        """int32 ids ``(batch, context)`` to ``(batch, dim)``."""
        return F.normalize(self.tower(tokens), dim=-1)


Graph = ImageGraph | TextGraph


def image_graph(model: DualEncoder) -> ImageGraph:
    """The image tower as a host calls it, merged into its form for inference.

    Towers with branches for training (RepVGG, MobileOne, FastViT and their kin) are folded
    into plain convolutions by timm, in a copy.
    """
    from timm.utils.model import reparameterize_model

    tower = reparameterize_model(model.image)
    # `TorchEncoder` leaves weights with channels last, which ExecuTorch does not lower.
    tower.to(memory_format=torch.contiguous_format)
    return ImageGraph(tower, model.config.preprocessing).eval()


def text_graph(model: DualEncoder) -> TextGraph:
    """The text tower as a host calls it."""
    return TextGraph(model.text).eval()


def mostly_matrices(graph: Graph) -> bool:
    """Whether a tower is a transformer: most weights are in matrix products, not convolutions.

    Weights of the last projection, which every image tower has, do not count.
    """
    last = getattr(graph.tower, "projection", None)
    counts = {nn.Linear: 0, nn.Conv2d: 0}
    for module in graph.modules():
        for kind in counts:
            if isinstance(module, kind) and module is not last:
                counts[kind] += module.weight.numel()
    return counts[nn.Linear] > counts[nn.Conv2d]


@contextlib.contextmanager
def exportable(graph: nn.Module) -> Iterator[None]:
    """Spell attention out in plain operations and keep the tracer quiet, for a while."""
    fast = torch.backends.mha.get_fastpath_enabled()
    level = logging.root.manager.disable
    torch.backends.mha.set_fastpath_enabled(False)
    set_fused_attention(graph, False)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
        set_fused_attention(graph, True)
        torch.backends.mha.set_fastpath_enabled(fast)

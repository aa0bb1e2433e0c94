"""A small vision transformer of ours, whose heads and neurons can be pruned."""

import torch
from torch import Tensor, nn

from retrieval.models.transformer import make_blocks
from retrieval.spec.model import VitTower


class VisionTransformer(nn.Module):
    """Normalised pixels to embeddings (not yet of length one), pooled at a class token.

    Args:
        spec: Patch size and blocks.
        size: Height and width of the input in pixels; a multiple of the patch size.
        embedding_dim: Length of the output.
    """

    def __init__(self, spec: VitTower, size: int, embedding_dim: int) -> None:
        super().__init__()
        width = spec.blocks.width
        grid = size // spec.patch
        self.spec = spec
        self.patch_embedding = nn.Conv2d(3, width, spec.patch, stride=spec.patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position_embedding = nn.Parameter(torch.empty(1, 1 + grid * grid, width))
        self.first_norm = nn.LayerNorm(width, spec.blocks.norm_eps)
        self.blocks = make_blocks(spec.blocks, causal=False)
        self.final_norm = nn.LayerNorm(width, spec.blocks.norm_eps)
        self.projection = nn.Linear(width, embedding_dim, bias=False)
        nn.init.normal_(self.position_embedding, std=0.02)
        nn.init.normal_(self.projection.weight, std=width**-0.5)

    def forward(self, pixels: Tensor) -> Tensor:
        """``(batch, 3, size, size)`` to ``(batch, embedding_dim)``."""
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        class_token = self.class_token.expand(patches.shape[0], -1, -1)
        x = torch.cat([class_token, patches], dim=1) + self.position_embedding
        x = self.blocks(self.first_norm(x))
        embedding: Tensor = self.projection(self.final_norm(x[:, 0]))
        return embedding

"""SigLIP's image tower: a vision transformer pooled by the attention of one learned query."""

import torch
from torch import Tensor, nn

from retrieval.models.transformer import make_activation, make_blocks
from retrieval.spec.errors import CheckpointError
from retrieval.spec.model import AttentionPooledTower


class AttentionPool(nn.Module):
    """Multi-head attention pooling: what one learned query finds, through a feed-forward.

    Args:
        spec: Width, heads and neurons.
    """

    def __init__(self, spec: AttentionPooledTower) -> None:
        super().__init__()
        width = spec.blocks.width
        self.heads = spec.pool_heads
        self.probe = nn.Parameter(torch.empty(1, 1, width))
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, spec.blocks.norm_eps)
        self.up = nn.Linear(width, spec.pool_neurons)
        self.activation = make_activation(spec.blocks.activation)
        self.down = nn.Linear(spec.pool_neurons, width)
        nn.init.normal_(self.probe, std=width**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, length, width)`` to ``(batch, width)``."""
        batch, length, width = x.shape
        shape = (self.heads, width // self.heads)
        q = self.query(self.probe).view(1, 1, *shape)
        k, v = (part(x).view(batch, length, *shape) for part in (self.key, self.value))
        # Products and sums, since there is one query, the same for all photos: as a matrix
        # product its left side would be a constant, which LiteRT cannot have in int8.
        scores = (k * (q * shape[1] ** -0.5)).sum(dim=3, keepdim=True)
        mixed = (scores.softmax(dim=1) * v).sum(dim=1)
        found = self.output(mixed.reshape(batch, width))
        pooled: Tensor = found + self.down(self.activation(self.up(self.norm(found))))
        return pooled


class AttentionPooledTransformer(nn.Module):
    """Normalised pixels to embeddings (not yet of length one).

    Args:
        spec: Patch size, blocks and pooling.
        size: Height and width of the input in pixels; what is left over beside whole patches
            is not seen.
        embedding_dim: Length of the output, which must be the width.

    Raises:
        CheckpointError: It is not, or the heads of the pooling do not divide the width.
    """

    def __init__(self, spec: AttentionPooledTower, size: int, embedding_dim: int) -> None:
        super().__init__()
        width = spec.blocks.width
        if embedding_dim != width or width % spec.pool_heads:
            raise CheckpointError(
                f"an attention-pooled tower of width {width} with {spec.pool_heads} heads gives "
                f"embeddings of that width and divides it by its heads; not {embedding_dim}"
            )
        grid = size // spec.patch
        self.spec = spec
        self.patch_embedding = nn.Conv2d(3, width, spec.patch, stride=spec.patch)
        self.position_embedding = nn.Parameter(torch.empty(1, grid * grid, width))
        self.blocks = make_blocks(spec.blocks, causal=False)
        self.final_norm = nn.LayerNorm(width, spec.blocks.norm_eps)
        self.pool = AttentionPool(spec)
        nn.init.normal_(self.position_embedding, std=0.02)

    def forward(self, pixels: Tensor) -> Tensor:
        """``(batch, 3, size, size)`` to ``(batch, embedding_dim)``."""
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        x = self.final_norm(self.blocks(patches + self.position_embedding))
        embedding: Tensor = self.pool(x)
        return embedding

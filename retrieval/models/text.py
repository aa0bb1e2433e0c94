"""Text tower: a CLIP-style transformer, pooled at one token."""

import torch
from torch import Tensor, nn

from retrieval.models.low_rank import initialise, make_embedding
from retrieval.models.transformer import make_blocks
from retrieval.spec.model import TextTower
from retrieval.spec.text import TextSpec


class TextTransformer(nn.Module):
    """Token ids to embeddings (not yet of length one).

    With ``bag_of_tokens`` the output gains ``W (sum of token embeddings / sqrt(count))``: a
    bag of words with a closed-form start (canonical correlation), beside which the
    transformer, whose projection then starts at zero, learns what word order adds.
    """

    def __init__(self, spec: TextTower, tokens: TextSpec, embedding_dim: int) -> None:
        super().__init__()
        width = spec.blocks.width
        self.spec = spec
        self.end_id = tokens.end_id
        self.context_length = tokens.context_length
        self.token_embedding = make_embedding(tokens.vocabulary_size, width, spec.embedding_rank)
        self.position_embedding = nn.Parameter(torch.empty(tokens.context_length, width))
        self.dropout = nn.Dropout(0.0)
        self.blocks = make_blocks(spec.blocks, causal=spec.causal)
        self.final_norm = nn.LayerNorm(width, spec.blocks.norm_eps)
        self.projection = nn.Linear(width, embedding_dim, bias=spec.projection_bias)
        self.bag_projection = nn.Linear(width, embedding_dim) if spec.bag_of_tokens else None
        self._initialise()

    def _initialise(self) -> None:
        initialise(self.token_embedding, std=0.02)
        nn.init.normal_(self.position_embedding, std=0.01)
        nn.init.normal_(self.projection.weight, std=self.projection.in_features**-0.5)
        if self.projection.bias is not None:
            nn.init.zeros_(self.projection.bias)
        if self.bag_projection is not None:
            nn.init.zeros_(self.projection.weight)

    def forward(self, ids: Tensor) -> Tensor:
        """``(batch, length)`` integer ids to ``(batch, embedding_dim)``.

        ``length`` may be anything up to the context length, and is all of it where pooling is
        at the last position. Where attention is causal,
        padding after the end token can be cut off without changing the result, since pooling
        is at that token.
        """
        tokens = self.token_embedding(ids)
        x = self.dropout(tokens + self.position_embedding[: ids.shape[1]])
        x = self.final_norm(self.blocks(x))
        is_end = (ids == self.end_id).to(x.dtype)
        ends_so_far = is_end.cumsum(dim=1)
        if self.spec.pooling == "last":
            pooled = x[:, -1]
        else:
            # A user can write the end token into a sentence; as in CLIP, the first one counts.
            first_end = is_end * (ends_so_far == 1).to(x.dtype)
            pooled = (x * first_end.unsqueeze(-1)).sum(dim=1)
        embedding: Tensor = self.projection(pooled)
        if self.bag_projection is None:
            return embedding
        words = 1 - ends_so_far.clamp(max=1)
        words = torch.cat([torch.zeros_like(words[:, :1]), words[:, 1:]], dim=1)
        bag = (self.dropout(tokens) * words.unsqueeze(-1)).sum(dim=1)
        count = words.sum(dim=1, keepdim=True).clamp(min=1)
        of_bag: Tensor = self.bag_projection(bag / count.sqrt())
        return embedding + of_bag

"""Pre-norm transformer blocks whose heads and neurons can really be taken out.

Queries, keys and values have projections of their own and the head count is explicit, so a
pruned block is an ordinary, smaller block; fused ``in_proj`` weights would not allow that.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrieval.models.low_rank import Linear, initialise, make_linear
from retrieval.spec.model import LinearName, Ranks, Transformer

# Finite on purpose: palettising a mask of -inf gives NaN on Core ML.
MASKED = -1e4


class QuickGELU(nn.Module):
    """``x * sigmoid(1.702 x)``, the activation of OpenAI's CLIP weights."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


def make_activation(name: str) -> nn.Module:
    """The activation that a specification names."""
    if name == "quick_gelu":
        return QuickGELU()
    return nn.GELU(approximate="tanh" if name == "gelu_tanh" else "none")


class Attention(nn.Module):
    """Multi-head self-attention with separate q, k, v.

    Args:
        width: Size of the residual stream.
        heads: Number of heads; ``heads * head_dim`` may be smaller than ``width``.
        head_dim: Size of one head.
        causal: Whether a position sees only itself and what is before it.
        ranks: Which of the projections are stored as two factors.
    """

    def __init__(
        self, width: int, heads: int, head_dim: int, *, causal: bool, ranks: Ranks
    ) -> None:
        super().__init__()
        self.heads = heads
        self.head_dim = head_dim
        self.causal = causal
        self.fused = True
        inner = heads * head_dim
        self.query = make_linear(width, inner, ranks.query)
        self.key = make_linear(width, inner, ranks.key)
        self.value = make_linear(width, inner, ranks.value)
        self.output = make_linear(inner, width, ranks.output)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, length, width)`` to the same shape."""
        batch, length, _ = x.shape
        q, k, v = (
            part(x).view(batch, length, self.heads, self.head_dim).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        if self.fused:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        else:
            mixed = self._explicit(q, k, v)
        result: Tensor = self.output(mixed.transpose(1, 2).reshape(batch, length, -1))
        return result

    def _explicit(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The same sums spelled out in operations that every converter knows."""
        scores = (q * self.head_dim**-0.5) @ k.transpose(-2, -1)
        if self.causal:
            length = q.shape[2]
            later = torch.ones(length, length, dtype=scores.dtype, device=scores.device)
            scores = scores + torch.triu(later, diagonal=1) * MASKED
        weights: Tensor = scores.softmax(dim=-1)
        return weights @ v


class Block(nn.Module):
    """Attention and feed-forward, each behind a layer norm and added to the stream."""

    def __init__(
        self,
        width: int,
        heads: int,
        head_dim: int,
        neurons: int,
        *,
        activation: str,
        causal: bool,
        ranks: Ranks,
        norm_eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, norm_eps)
        self.attention = Attention(width, heads, head_dim, causal=causal, ranks=ranks)
        self.mlp_norm = nn.LayerNorm(width, norm_eps)
        self.up = make_linear(width, neurons, ranks.up)
        self.activation = make_activation(activation)
        self.down = make_linear(neurons, width, ranks.down)
        self.dropout = nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, length, width)`` to the same shape."""
        x = x + self.dropout(self.attention(self.attention_norm(x)))
        added: Tensor = self.dropout(self.down(self.activation(self.up(self.mlp_norm(x)))))
        return x + added

    @property
    def linears(self) -> dict[LinearName, Linear]:
        """The six linear maps by the names that `Ranks` gives them, in the order of use."""
        attention = self.attention
        return {
            "query": attention.query,
            "key": attention.key,
            "value": attention.value,
            "output": attention.output,
            "up": self.up,
            "down": self.down,
        }


def make_blocks(spec: Transformer, *, causal: bool) -> nn.Sequential:
    """The blocks of one tower, initialised as GPT-2 and CLIP do: the deeper, the gentler."""
    blocks = nn.Sequential(
        *(
            Block(
                spec.width, heads, spec.head_dim, neurons,
                activation=spec.activation, causal=causal, ranks=ranks, norm_eps=spec.norm_eps,
            )
            for heads, neurons, ranks in zip(
                spec.heads, spec.neurons, spec.ranks_of_layers, strict=True
            )
        )
    )  # fmt: skip
    residual_std = spec.width**-0.5 * (2 * len(blocks)) ** -0.5
    for block in blocks:
        for name, linear in block.linears.items():
            residual = name in ("output", "down")
            initialise(linear, residual_std if residual else spec.width**-0.5)
    return blocks


def set_dropout(model: nn.Module, rate: float) -> None:
    """Set the rate of every dropout; a choice of training, not of the architecture."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate


def set_fused_attention(model: nn.Module, fused: bool) -> None:
    """Switch every attention of ours between the fast kernel and the exportable one."""
    for module in model.modules():
        if isinstance(module, Attention):
            module.fused = fused

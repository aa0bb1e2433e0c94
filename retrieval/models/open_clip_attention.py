"""open_clip's fused self-attention, replaced by ours with the same weights.

`torch.nn.MultiheadAttention` has one matrix for queries, keys and values, whose pieces the
tracer cuts out again with a chain of shape operations: slow to export, untidy in the file,
and its heads cannot be pruned.
"""

from torch import Tensor, nn

from retrieval.models.transformer import Attention
from retrieval.spec.model import Ranks


class SelfAttention(nn.Module):
    """Our attention behind the signature of `torch.nn.MultiheadAttention`.

    Args:
        source: Self-attention with the batch first; its weights are copied.
    """

    def __init__(self, source: nn.MultiheadAttention) -> None:
        super().__init__()
        heads, width = source.num_heads, source.embed_dim
        self.attention = Attention(width, heads, width // heads, causal=False, ranks=Ranks())
        self.attention.load_state_dict(separated(source))

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        need_weights: bool = False,
        attn_mask: Tensor | None = None,
    ) -> tuple[Tensor, None]:
        """``query``, ``key`` and ``value`` are one tensor ``(batch, length, width)``."""
        return self.attention(query), None


def separated(source: nn.MultiheadAttention) -> dict[str, Tensor]:
    """State of our `Attention` from the fused weights."""
    state = {"output.weight": source.out_proj.weight, "output.bias": source.out_proj.bias}
    parts = ("query", "key", "value")
    for part, weight in zip(parts, source.in_proj_weight.chunk(3), strict=True):
        state[f"{part}.weight"] = weight
    for part, bias in zip(parts, source.in_proj_bias.chunk(3), strict=True):
        state[f"{part}.bias"] = bias
    return {key: tensor.detach().clone() for key, tensor in state.items()}


def separate_attention(tower: nn.Module) -> None:
    """Replace the attention of every plain transformer block of an open_clip image tower."""
    from open_clip.transformer import ResidualAttentionBlock

    for block in tower.modules():
        if isinstance(block, ResidualAttentionBlock) and block.attn.batch_first:
            block.attn = SelfAttention(block.attn)

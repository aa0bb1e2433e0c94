"""SigLIP as open_clip holds it: timm's image tower turned into ours, and its tokenizer."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from retrieval.language.tokenizer import Tokenizer
from retrieval.models.hugging_face_files import tokenizer_folder
from retrieval.models.hugging_face_tokens import siglip_tokenizer
from retrieval.spec.model import AttentionPooledTower

LOCAL = "local-dir:"

_OF_BLOCKS = {
    "attention_norm": "norm1",
    "attention.output": "attn.proj",
    "mlp_norm": "norm2",
    "up": "mlp.fc1",
    "down": "mlp.fc2",
}
_OF_POOL = {
    "query": "q",
    "output": "proj",
    "norm": "norm",
    "up": "mlp.fc1",
    "down": "mlp.fc2",
}


def is_siglip_text(text: dict[str, Any]) -> bool:
    """Whether a text configuration names a tokenizer of SigLIP's, by how text is cleaned."""
    return bool(text.get("hf_tokenizer_name")) and text.get("tokenizer_kwargs") == {
        "clean": "canonicalize"
    }


def open_clip_siglip_tokenizer(model: str, text: dict[str, Any]) -> Tokenizer:
    """The tokenizer that a SigLIP configuration of open_clip names.

    Args:
        model: Name of the model; with ``local-dir:`` its tokenizer lies beside it.
        text: Its ``text_cfg``.

    Raises:
        CheckpointError: Its files cannot be fetched, are missing or malformed.
    """
    local = Path(model.removeprefix(LOCAL)) if model.startswith(LOCAL) else None
    return siglip_tokenizer(
        local or tokenizer_folder(text["hf_tokenizer_name"]),
        vocabulary_size=int(text.get("vocab_size", 32000)),
        context_length=int(text.get("context_length", 64)),
        cleaning="canonical",
    )


def attention_pooled_spec(visual: Any) -> AttentionPooledTower | None:
    """Our tower that computes what open_clip's image tower does; None where ours cannot.

    Args:
        visual: Of open_clip.
    """
    trunk = getattr(visual, "trunk", None)
    pool = getattr(trunk, "attn_pool", None)
    if pool is None or not _is_plain(visual, trunk, pool):
        return None
    first = trunk.blocks[0]
    approximate = "tanh" in repr(first.mlp.act).lower()
    width = trunk.embed_dim
    return AttentionPooledTower.model_validate(
        {
            "patch": trunk.patch_embed.patch_size[0],
            "blocks": {
                "width": width,
                "layers": len(trunk.blocks),
                "heads": first.attn.num_heads,
                "head_dim": width // first.attn.num_heads,
                "neurons": first.mlp.fc1.out_features,
                "activation": "gelu_tanh" if approximate else "gelu",
                "norm_eps": trunk.norm.eps,
            },
            "pool_heads": pool.num_heads,
            "pool_neurons": pool.mlp.fc1.out_features,
        }
    )


def attention_pooled_weights(visual: Any) -> dict[str, Tensor]:
    """State of our image tower from open_clip's."""
    trunk = visual.trunk
    state = trunk.state_dict()
    found = {
        "position_embedding": state["pos_embed"],
        "pool.probe": state["attn_pool.latent"],
    }
    for kind in ("weight", "bias"):
        found[f"patch_embedding.{kind}"] = state[f"patch_embed.proj.{kind}"]
        found[f"final_norm.{kind}"] = state[f"norm.{kind}"]
        key, value = state[f"attn_pool.kv.{kind}"].chunk(2)
        found[f"pool.key.{kind}"], found[f"pool.value.{kind}"] = key, value
        for ours, theirs in _OF_POOL.items():
            found[f"pool.{ours}.{kind}"] = state[f"attn_pool.{theirs}.{kind}"]
        for layer in range(len(trunk.blocks)):
            parts = state[f"blocks.{layer}.attn.qkv.{kind}"].chunk(3)
            for part, weight in zip(("query", "key", "value"), parts, strict=True):
                found[f"blocks.{layer}.attention.{part}.{kind}"] = weight
            for ours, theirs in _OF_BLOCKS.items():
                found[f"blocks.{layer}.{ours}.{kind}"] = state[f"blocks.{layer}.{theirs}.{kind}"]
    return {key: weight.detach().clone().float() for key, weight in found.items()}


def _is_plain(visual: Any, trunk: Any, pool: Any) -> bool:
    """Whether a trunk has no part that ours lacks: prefix tokens, layer scales, more norms."""
    first = trunk.blocks[0]
    absent = (
        trunk.norm_pre, trunk.fc_norm, trunk.head, first.ls1, first.ls2,
        first.attn.q_norm, first.attn.k_norm, pool.q_norm, pool.k_norm,
    )  # fmt: skip
    return (
        trunk.num_prefix_tokens == 0
        and len(visual.head) == 0
        and all(isinstance(part, nn.Identity) for part in absent)
        and isinstance(trunk.norm, nn.LayerNorm)
        and isinstance(pool.norm, nn.LayerNorm)
        and pool.pos_embed is None
        and pool.latent_len == 1
        and pool.pool == "token"
    )

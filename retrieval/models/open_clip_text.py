"""CLIP's and SigLIP's text towers as open_clip holds them, turned into ours.

Ours has separate queries, keys and values, a finite mask and pools by a sum, so it can be
pruned and converts to every export format; open_clip's does not.
"""

from dataclasses import fields
from typing import Any

from torch import Tensor, nn

from retrieval.models.open_clip_attention import separated
from retrieval.models.open_clip_siglip import is_siglip_text
from retrieval.spec.errors import CheckpointError
from retrieval.spec.model import TextTower

CLIP_END = 49407

# What may differ from open_clip's defaults; ids, pooling and options are checked one by one.
_UNDERSTOOD = {
    "context_length",
    "width",
    "heads",
    "layers",
    "mlp_ratio",
    "no_causal_mask",
    "hf_model_pretrained",
    "proj_bias",
}
_UNDERSTOOD_OF_SIGLIP = {"hf_tokenizer_name", "tokenizer_kwargs", "vocab_size"}


def text_tower_spec(name: str, options: dict[str, Any]) -> TextTower:
    """The shape of our text tower that computes what open_clip's does.

    Args:
        name: For messages.
        options: open_clip's model configuration.

    Raises:
        CheckpointError: It has parts that ours has not, or another tokenizer than CLIP's or
            SigLIP's.
    """
    from open_clip import CLIPTextCfg

    text = options["text_cfg"]
    named = text.get("hf_model_name") or text.get("hf_tokenizer_name")
    if named and (text.get("hf_model_name") or not is_siglip_text(text)):
        raise CheckpointError(
            f"{name} uses the tokenizer {named}; only models with CLIP's own tokenizer or one of "
            "SigLIP's can be imported"
        )
    if "multimodal_cfg" in options:
        raise CheckpointError(f"{name} is a CoCa model, whose text tower is not supported")
    defaults = {field.name: field.default for field in fields(CLIPTextCfg)}
    for key, value in text.items():
        if not _is_understood(key, value, text, defaults):
            raise CheckpointError(f"{name} cannot be used: its text tower sets {key} to {value!r}")
    whole = defaults | text
    width, heads = whole["width"], whole["heads"]
    activation = "gelu_tanh" if whole["act_kwargs"] else "gelu"
    return TextTower.model_validate(
        {
            "blocks": {
                "width": width,
                "layers": whole["layers"],
                "heads": heads,
                "head_dim": width // heads,
                "neurons": int(width * whole["mlp_ratio"]),
                "activation": "quick_gelu" if options.get("quick_gelu") else activation,
                "norm_eps": (whole["norm_kwargs"] or {}).get("eps", 1e-5),
            },
            "causal": not whole["no_causal_mask"],
            "pooling": "last" if whole["pool_type"] == "last" else "end",
            "projection_bias": whole["proj_bias"],
        }
    )


def text_tower_weights(source: nn.Module) -> dict[str, Tensor]:
    """State of our text tower from an open_clip model's weights."""
    side: Any = getattr(source, "text", source)
    state = {
        "token_embedding.weight": side.token_embedding.weight,
        "position_embedding": side.positional_embedding,
        "final_norm.weight": side.ln_final.weight,
        "final_norm.bias": side.ln_final.bias,
    }
    projection = side.text_projection
    if isinstance(projection, nn.Linear):
        state["projection.weight"] = projection.weight
        if projection.bias is not None:
            state["projection.bias"] = projection.bias
    else:
        state["projection.weight"] = projection.T
    for number, block in enumerate(side.transformer.resblocks):
        for key, tensor in _block_weights(block).items():
            state[f"blocks.{number}.{key}"] = tensor
    return {key: tensor.detach().clone().float() for key, tensor in state.items()}


def _is_understood(key: str, value: Any, text: dict[str, Any], defaults: dict[str, Any]) -> bool:
    if key in _UNDERSTOOD or value == defaults.get(key, value):
        return True
    if key in _UNDERSTOOD_OF_SIGLIP:
        return is_siglip_text(text)
    if key == "norm_kwargs":
        return set(value) == {"eps"}
    if key == "act_kwargs":
        return bool(value == {"approximate": "tanh"})
    if key == "pool_type":
        last = value == "last" and bool(text.get("no_causal_mask"))
        return last or (value == "eos" and text.get("eos_id") == CLIP_END)
    return key == "eos_id" and value == CLIP_END


def _block_weights(block: Any) -> dict[str, Tensor]:
    found = {
        "attention_norm": block.ln_1,
        "mlp_norm": block.ln_2,
        "up": block.mlp.c_fc,
        "down": block.mlp.c_proj,
    }
    state = {f"attention.{key}": tensor for key, tensor in separated(block.attn).items()}
    state |= {f"{key}.weight": module.weight for key, module in found.items()}
    return state | {f"{key}.bias": module.bias for key, module in found.items()}

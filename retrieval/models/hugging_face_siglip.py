"""SigLIP and SigLIP 2 as Hugging Face transformers holds them, turned into our two towers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from retrieval.language.tokenizer import Tokenizer
from retrieval.models.hugging_face_layers import (
    State,
    block_weights,
    joined_weights,
    named_weights,
    read_preprocessing,
    side_settings,
    transformer_values,
)
from retrieval.models.hugging_face_tokens import siglip_tokenizer
from retrieval.spec.errors import CheckpointError
from retrieval.spec.model import AttentionPooledTower, ModelConfig

_DEFAULTS = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
}
TEXT_DEFAULTS = _DEFAULTS | {"vocab_size": 32000, "max_position_embeddings": 64}
VISION_DEFAULTS = _DEFAULTS | {"image_size": 224, "patch_size": 16, "vision_use_head": True}


def siglip_config(
    name: str, config: Mapping[str, Any], folder: Path
) -> tuple[ModelConfig, Tokenizer]:
    """Our configuration of a SigLIP model, and its tokenizer.

    Raises:
        CheckpointError: A part is missing or not supported.
        ValidationError: A number is impossible.
    """
    text = side_settings(config, "text", TEXT_DEFAULTS)
    vision = side_settings(config, "vision", VISION_DEFAULTS)
    if not vision["vision_use_head"]:
        raise CheckpointError(f"{name} has no pooling head, so its photos have no embedding")
    tokenizer = siglip_tokenizer(
        folder,
        vocabulary_size=text["vocab_size"],
        context_length=text["max_position_embeddings"],
    )
    values = {
        "name": name,
        "embedding_dim": vision["hidden_size"],
        "image": {
            "kind": "attention_pooled",
            "patch": vision["patch_size"],
            "blocks": transformer_values(vision),
            "pool_heads": vision["num_attention_heads"],
            "pool_neurons": vision["intermediate_size"],
        },
        "text": {
            "blocks": transformer_values(text),
            "causal": False,
            "pooling": "last",
            "projection_bias": True,
        },
        "preprocessing": read_preprocessing(folder, vision["image_size"]),
        "tokens": tokenizer.spec,
    }
    return ModelConfig.model_validate(values), tokenizer


def siglip_weights(state: State, config: ModelConfig) -> dict[str, Tensor]:
    """State of our dual encoder; scale and bias of the loss do not change a ranking.

    Raises:
        KeyError: A weight is missing.
    """
    assert isinstance(config.image, AttentionPooledTower)
    image = {
        **named_weights(state, "patch_embedding", "vision_model.embeddings.patch_embedding"),
        "position_embedding": state["vision_model.embeddings.position_embedding.weight"][None],
        **named_weights(state, "final_norm", "vision_model.post_layernorm"),
        **block_weights(state, "vision_model", len(config.image.blocks.heads)),
        **_pool_weights(state),
    }
    text = {
        "token_embedding.weight": state["text_model.embeddings.token_embedding.weight"],
        "position_embedding": state["text_model.embeddings.position_embedding.weight"],
        **named_weights(state, "final_norm", "text_model.final_layer_norm"),
        **named_weights(state, "projection", "text_model.head"),
        **block_weights(state, "text_model", len(config.text.blocks.heads)),
    }
    return joined_weights(image, text)


def _pool_weights(state: State) -> dict[str, Tensor]:
    head = "vision_model.head"
    found = {
        "pool.probe": state[f"{head}.probe"],
        **named_weights(state, "pool.output", f"{head}.attention.out_proj"),
        **named_weights(state, "pool.norm", f"{head}.layernorm"),
        **named_weights(state, "pool.up", f"{head}.mlp.fc1"),
        **named_weights(state, "pool.down", f"{head}.mlp.fc2"),
    }
    for kind in ("weight", "bias"):
        parts = state[f"{head}.attention.in_proj_{kind}"].chunk(3)
        for part, weight in zip(("query", "key", "value"), parts, strict=True):
            found[f"pool.{part}.{kind}"] = weight
    return found

"""CLIP as Hugging Face transformers holds it, turned into our two towers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
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
from retrieval.models.hugging_face_tokens import clip_tokenizer
from retrieval.spec.model import ModelConfig, VitTower

_DEFAULTS = {"hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "num_hidden_layers": 12}
TEXT_DEFAULTS = _DEFAULTS | {
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_attention_heads": 8,
    "max_position_embeddings": 77,
}
VISION_DEFAULTS = _DEFAULTS | {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 32,
}


def clip_config(
    name: str, config: Mapping[str, Any], folder: Path
) -> tuple[ModelConfig, Tokenizer]:
    """Our configuration of a CLIP model, and its tokenizer.

    Raises:
        CheckpointError: A part is missing or not supported.
        ValidationError: A number is impossible.
    """
    text = side_settings(config, "text", TEXT_DEFAULTS)
    vision = side_settings(config, "vision", VISION_DEFAULTS)
    tokenizer = clip_tokenizer(folder, text["max_position_embeddings"])
    values = {
        "name": name,
        "embedding_dim": config.get("projection_dim", 512),
        "image": {
            "kind": "vit",
            "patch": vision["patch_size"],
            "blocks": transformer_values(vision),
        },
        "text": {"blocks": transformer_values(text)},
        "preprocessing": read_preprocessing(folder, vision["image_size"]),
        "tokens": tokenizer.spec,
    }
    return ModelConfig.model_validate(values), tokenizer


def clip_weights(state: State, config: ModelConfig) -> dict[str, Tensor]:
    """State of our dual encoder.

    Raises:
        KeyError: A weight is missing.
    """
    assert isinstance(config.image, VitTower)
    image = {
        "patch_embedding.weight": state["vision_model.embeddings.patch_embedding.weight"],
        "patch_embedding.bias": torch.zeros(config.image.blocks.width),
        "class_token": state["vision_model.embeddings.class_embedding"].view(1, 1, -1),
        "position_embedding": state["vision_model.embeddings.position_embedding.weight"][None],
        "projection.weight": state["visual_projection.weight"],
        # The spelling is theirs.
        **named_weights(state, "first_norm", "vision_model.pre_layrnorm"),
        **named_weights(state, "final_norm", "vision_model.post_layernorm"),
        **block_weights(state, "vision_model", len(config.image.blocks.heads)),
    }
    text = {
        "token_embedding.weight": state["text_model.embeddings.token_embedding.weight"],
        "position_embedding": state["text_model.embeddings.position_embedding.weight"],
        "projection.weight": state["text_projection.weight"],
        **named_weights(state, "final_norm", "text_model.final_layer_norm"),
        **block_weights(state, "text_model", len(config.text.blocks.heads)),
    }
    return joined_weights(image, text)

"""What CLIP and SigLIP have in common in Hugging Face transformers: blocks and pixels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from retrieval.models.hugging_face_files import read_settings
from retrieval.spec.errors import CheckpointError
from retrieval.spec.preprocessing import Preprocessing

State = Mapping[str, Tensor]

_ACTIVATIONS = {
    "gelu": "gelu",
    "quick_gelu": "quick_gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
}
_FILTERS = {1: "lanczos", 2: "bilinear", 3: "bicubic"}
_OF_BLOCKS = {
    "attention_norm": "layer_norm1",
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.output": "self_attn.out_proj",
    "mlp_norm": "layer_norm2",
    "up": "mlp.fc1",
    "down": "mlp.fc2",
}


def side_settings(config: Mapping[str, Any], side: str, defaults: Mapping[str, Any]) -> Any:
    """Settings of one side, ``text`` or ``vision``; files leave out what is a default."""
    # Early files repeat a side in `..._config_dict`, which then counts.
    return {
        **defaults,
        **(config.get(f"{side}_config") or {}),
        **(config.get(f"{side}_config_dict") or {}),
    }


def transformer_values(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Values for our `Transformer`.

    Raises:
        CheckpointError: The activation is not one of ours.
    """
    activation = _ACTIVATIONS.get(settings["hidden_act"])
    if activation is None:
        raise CheckpointError(
            f"the activation {settings['hidden_act']} is not supported, only "
            f"{', '.join(_ACTIVATIONS)}"
        )
    heads = settings["num_attention_heads"]
    return {
        "width": settings["hidden_size"],
        "layers": settings["num_hidden_layers"],
        "heads": heads,
        "head_dim": settings["hidden_size"] // heads,
        "neurons": settings["intermediate_size"],
        "activation": activation,
        "norm_eps": settings["layer_norm_eps"],
    }


def block_weights(state: State, side: str, layers: int) -> dict[str, Tensor]:
    """State of our blocks from that of one side's encoder.

    Args:
        state: All weights.
        side: ``text_model`` or ``vision_model``.
        layers: How many blocks.
    """
    found = {}
    for layer in range(layers):
        for ours, theirs in _OF_BLOCKS.items():
            for kind in ("weight", "bias"):
                source = f"{side}.encoder.layers.{layer}.{theirs}.{kind}"
                found[f"blocks.{layer}.{ours}.{kind}"] = state[source]
    return found


def named_weights(state: State, ours: str, theirs: str) -> dict[str, Tensor]:
    """Weight and bias of one layer under our name."""
    return {f"{ours}.{kind}": state[f"{theirs}.{kind}"] for kind in ("weight", "bias")}


def joined_weights(image: Mapping[str, Tensor], text: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State of a dual encoder, from those of its towers."""
    return {
        **{f"image.{key}": weight for key, weight in image.items()},
        **{f"text.{key}": weight for key, weight in text.items()},
    }


def read_preprocessing(folder: Path, size: int) -> Preprocessing:
    """How a model's photos are made, from ``preprocessor_config.json``.

    Args:
        folder: Of the model.
        size: Pixels a side that its image tower takes.

    Raises:
        CheckpointError: It is missing, or asks for something that ours cannot say.
    """
    path = folder / "preprocessor_config.json"
    if path.is_file():
        found = read_settings(path)
    elif (folder / "processor_config.json").is_file():
        path = folder / "processor_config.json"
        found = read_settings(path).get("image_processor") or {}
    else:
        raise CheckpointError(f"{folder} has no preprocessor_config.json: copy it there too")
    for step in ("do_resize", "do_rescale", "do_normalize"):
        if found.get(step, True) is not True:
            raise CheckpointError(f"{path} sets {step} to {found[step]}, which is not supported")
    resample = found.get("resample", 3)
    if resample not in _FILTERS:
        raise CheckpointError(f"{path} sets resample to {resample}, which is not supported")
    resize_mode, wanted = _resizing(found)
    if wanted != {size}:
        raise CheckpointError(
            f"{path} makes photos of {', '.join(map(str, sorted(wanted, key=str)))} pixels, "
            f"but the image tower takes {size}"
        )
    return Preprocessing.model_validate(
        {
            "size": size,
            "resize_mode": resize_mode,
            "interpolation": _FILTERS[resample],
            "mean": found.get("image_mean"),
            "std": found.get("image_std"),
            "value_range": (0.0, round(255 * found.get("rescale_factor", 1 / 255), 6)),
        }
    )


def _resizing(found: Mapping[str, Any]) -> tuple[str, set[Any]]:
    """Our resize mode, and every number of pixels that it comes with."""
    size = found.get("size")
    if isinstance(size, int):
        size = {"shortest_edge": size}
    sides = set((size or {}).values())
    if "shortest_edge" not in (size or {}):
        return "squash", sides
    crop = found.get("crop_size") if found.get("do_center_crop", True) else None
    crops = set(crop.values()) if isinstance(crop, dict) else {crop}
    return "shortest", sides | crops

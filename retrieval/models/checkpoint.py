"""Checkpoint folders: ``config.json``, ``model.safetensors``, ``metrics.json``, recipe, vocabulary."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from retrieval.language.tokenizer import Tokenizer
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.errors import CheckpointError
from retrieval.spec.files import replacing_folder, sha256_file, sha256_json, write_json
from retrieval.spec.model import ModelConfig

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
METRICS = "metrics.json"
RECIPE = "recipe.yaml"


@dataclass(frozen=True)
class Checkpoint:
    """A model with everything that is needed to use it.

    Attributes:
        model: On the CPU, in evaluation mode, in float32.
        tokenizer: Makes the ids that its text tower takes.
        fingerprint: Names its embedding space.
        metrics: What was measured when it was saved.
        recipe: The recipe it came from, as text, or None.
    """

    model: DualEncoder
    tokenizer: Tokenizer
    fingerprint: str
    metrics: Mapping[str, Any]
    recipe: str | None = None

    @property
    def config(self) -> ModelConfig:
        """Shape of the model."""
        return self.model.config


def save_checkpoint(
    folder: Path,
    model: DualEncoder,
    tokenizer: Tokenizer,
    *,
    metrics: Mapping[str, Any] | None = None,
    recipe: str | None = None,
    half: bool = False,
) -> None:
    """Write a checkpoint folder, whole or not at all.

    Args:
        folder: Replaced if it exists.
        model: Any device; weights are copied to the CPU.
        tokenizer: Its vocabulary is stored beside the weights.
        metrics: JSON-compatible figures, for people and for tables.
        recipe: Text of the recipe that made the model.
        half: Store floating-point weights as float16, at half the bytes.
    """
    with replacing_folder(folder) as temporary:
        tokens = tokenizer.save(temporary)
        config = model.config.model_copy(update={"tokens": tokens})
        (temporary / CONFIG).write_text(config.model_dump_json(indent=2) + "\n", "utf-8")
        save_file(_stored_weights(model, half), temporary / WEIGHTS)
        write_json(temporary / METRICS, dict(metrics or {}))
        if recipe is not None:
            (temporary / RECIPE).write_text(recipe, "utf-8")


def load_checkpoint(folder: Path) -> Checkpoint:
    """Load a checkpoint folder.

    Raises:
        CheckpointError: No checkpoint there, a malformed configuration, or weights that are
            damaged or do not fit it.
    """
    config = read_config(folder)
    model = DualEncoder(config)
    try:
        weights = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot read {folder / WEIGHTS}: {error}") from error
    try:
        model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    except RuntimeError as error:
        raise CheckpointError(f"{folder / WEIGHTS} does not fit {CONFIG}: {error}") from error
    recipe = folder / RECIPE
    return Checkpoint(
        model=model.eval(),
        tokenizer=Tokenizer.from_spec(config.tokens, folder),
        fingerprint=fingerprint(config, sha256_file(folder / WEIGHTS)),
        metrics=_read_metrics(folder / METRICS),
        recipe=recipe.read_text("utf-8") if recipe.is_file() else None,
    )


def read_config(folder: Path) -> ModelConfig:
    """Read and validate ``config.json`` alone.

    Raises:
        CheckpointError: It is missing or malformed.
    """
    path = folder / CONFIG
    try:
        return ModelConfig.model_validate_json(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{folder} is not a checkpoint: cannot read {CONFIG}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CheckpointError(f"{path}: {place}: {first['msg']}") from error


def fingerprint(config: ModelConfig, weights_sha256: str) -> str:
    """Name of the embedding space: what goes in and the weights that it goes through."""
    return sha256_json(
        {
            "weights": weights_sha256,
            "preprocessing": config.preprocessing.model_dump(mode="json"),
            "text": config.tokens.model_dump(mode="json"),
        }
    )[:32]


def _stored_weights(model: DualEncoder, half: bool) -> dict[str, torch.Tensor]:
    state = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    if half:
        state = {n: t.half() if t.is_floating_point() else t for n, t in state.items()}
    return state


def _read_metrics(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error
    return dict(value)

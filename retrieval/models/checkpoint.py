"""Checkpoint folders: configuration, weights, vocabulary, metrics and recipe."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from retrieval.language.opening import open_tokenizer
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.sparse.file import pack_weights, read_weights
from retrieval.models.sparse.storage import DENSE, Storage
from retrieval.spec.errors import BundleError, CheckpointError
from retrieval.spec.files import replacing_folder, sha256_file, sha256_json, write_json
from retrieval.spec.formats import refuse_newer
from retrieval.spec.model import CHECKPOINT_FORMAT, ModelConfig

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
    storage: Storage = DENSE,
) -> None:
    """Write a checkpoint folder, whole or not at all.

    Args:
        folder: Replaced if it exists.
        model: Any device; weights are copied to the CPU.
        tokenizer: Its vocabulary is stored beside the weights.
        metrics: JSON-compatible figures, for people and for tables.
        recipe: Text of the recipe that made the model.
        storage: How the weights lie on disk; by default dense float32.

    Raises:
        CheckpointError: A weight is not finite in the type that it would be stored as.
    """
    with replacing_folder(folder) as temporary:
        tokens = tokenizer.save(temporary)
        config = model.config.model_copy(update={"tokens": tokens})
        (temporary / CONFIG).write_text(config.model_dump_json(indent=2) + "\n", "utf-8")
        (temporary / WEIGHTS).write_bytes(pack_weights(model.state_dict(), storage))
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
    _load_weights(model, folder / WEIGHTS)
    try:
        tokenizer = open_tokenizer(config.tokens, folder)
    except BundleError as error:
        raise CheckpointError(
            f"{folder / config.tokens.vocabulary_file} is missing, damaged or of another "
            "checkpoint; copy or train the checkpoint again"
        ) from error
    recipe = folder / RECIPE
    return Checkpoint(
        model=model.eval(),
        tokenizer=tokenizer,
        fingerprint=stored_fingerprint(folder),
        metrics=_read_metrics(folder / METRICS),
        recipe=recipe.read_text("utf-8") if recipe.is_file() else None,
    )


def read_config(folder: Path) -> ModelConfig:
    """Read and validate ``config.json`` alone.

    Raises:
        CheckpointError: It is missing, malformed or of a newer format.
    """
    path = folder / CONFIG
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{folder} is not a checkpoint: cannot read {CONFIG}") from error
    refuse_newer(path, text, CHECKPOINT_FORMAT, CheckpointError)
    try:
        return ModelConfig.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CheckpointError(f"{path}: {place}: {first['msg']}") from error


def stored_fingerprint(folder: Path) -> str:
    """Fingerprint of a checkpoint folder, without loading its weights.

    Raises:
        CheckpointError: Configuration or weights are missing or malformed.
    """
    try:
        weights_sha256 = sha256_file(folder / WEIGHTS)
    except OSError as error:
        raise CheckpointError(f"cannot read {folder / WEIGHTS}: {error.strerror}") from error
    return fingerprint(read_config(folder), weights_sha256)


def fingerprint(config: ModelConfig, weights_sha256: str) -> str:
    """Name of the embedding space: what goes in and the weights that it goes through."""
    return sha256_json(
        {
            "weights": weights_sha256,
            "preprocessing": config.preprocessing.model_dump(mode="json"),
            "text": config.tokens.model_dump(mode="json"),
        }
    )[:32]


def _load_weights(model: DualEncoder, path: Path) -> None:
    weights = read_weights(path)
    wanted = model.state_dict()
    for name in sorted(wanted.keys() | weights.keys()):
        if name not in weights or name not in wanted:
            problem = "has no" if name in wanted else "has an unknown"
            raise CheckpointError(f"{path} does not fit {CONFIG}: it {problem} {name}")
        if weights[name].shape != wanted[name].shape:
            raise CheckpointError(
                f"{path} does not fit {CONFIG}: {name} is {tuple(weights[name].shape)}, "
                f"not {tuple(wanted[name].shape)}"
            )
    model.load_state_dict(weights)


def _read_metrics(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error
    return dict(value)

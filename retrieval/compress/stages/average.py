"""A stage that trains nothing: the mean of the weights of related models."""

from pathlib import Path
from typing import Any

import torch

from retrieval.compress.stages.settings import Average
from retrieval.models.checkpoint import Checkpoint, load_checkpoint
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.errors import RecipeError
from retrieval.spec.model import ModelConfig
from retrieval.spec.quantisation import without_grid

_SHAPE = ("embedding_dim", "image", "text", "tokens")


def average_weights(stage: Average, model: DualEncoder) -> dict[str, Any]:
    """Replace the weights by the mean of theirs and of the stage's checkpoints, in place.

    Integers, such as counts of batches, stay the model's own.

    Returns:
        Fingerprints of the checkpoints, for ``metrics.json``.

    Raises:
        CheckpointError: There is no such checkpoint, or it is damaged.
        RecipeError: A checkpoint has another shape or vocabulary.
    """
    others = [_relative(path, model.config) for path in stage.checkpoints]
    states = [other.model.state_dict() for other in others]
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.stack([value, *(state[name] for state in states)]).mean(0))
    # The mean of weights on a grid lies beside it.
    model.config = without_grid(model.config, stage.towers)
    return {"averaged_with": [other.fingerprint for other in others]}


def _relative(path: Path, config: ModelConfig) -> Checkpoint:
    other = load_checkpoint(path)
    for part in _SHAPE:
        if getattr(other.config, part) != getattr(config, part):
            raise RecipeError(
                f"cannot average with {path}: its {part} is not the student's; stage "
                "average needs checkpoints of one shape and vocabulary"
            )
    return other

"""Pretrained weights of timm backbones from files."""

from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from retrieval.models.timm_tower import TimmImageTower
from retrieval.spec.errors import RecipeError


def load_backbone_weights(tower: nn.Module, files: Sequence[Path]) -> None:
    """Load one safetensors file into each timm backbone; classifier weights are ignored.

    Raises:
        RecipeError: The tower has no timm backbones or another number of them, or a file is
            unreadable or belongs to another architecture.
    """
    if not isinstance(tower, TimmImageTower):
        raise RecipeError("start.image_weights needs an image tower of kind timm")
    if len(files) != len(tower.backbones):
        raise RecipeError(
            f"start.image_weights names {len(files)} files for {len(tower.backbones)} backbones"
        )
    for backbone, file in zip(tower.backbones, files, strict=True):
        try:
            weights = load_file(file)
        except (OSError, SafetensorError) as error:
            raise RecipeError(f"start.image_weights: cannot read {file}: {error}") from error
        wanted = backbone.state_dict()
        fitting = {n: t for n, t in weights.items() if n in wanted and t.shape == wanted[n].shape}
        missing = [name for name in wanted if name not in fitting]
        missing = [name for name in missing if not name.endswith("num_batches_tracked")]
        if missing:
            raise RecipeError(
                f"start.image_weights: {file} lacks {missing[0]} (and {len(missing) - 1} more); "
                "is it of another architecture?"
            )
        backbone.load_state_dict(fitting, strict=False)

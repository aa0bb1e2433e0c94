"""Pretrained weights of timm backbones: from files, or inherited from another checkpoint."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from retrieval.models.checkpoint import WEIGHTS
from retrieval.models.timm_tower import TimmImageTower
from retrieval.spec.errors import RecipeError

Weights = Mapping[str, Tensor]

_BACKBONE = "image.backbones."


def load_backbone_weights(tower: nn.Module, sources: Sequence[Path]) -> None:
    """Load one source into each timm backbone; classifier weights are ignored.

    Args:
        tower: Its backbones are filled in order.
        sources: Each a safetensors file with the names of timm, or a checkpoint folder of
            leanclip's: then the first of its backbones that fits is inherited.

    Raises:
        RecipeError: The tower has no timm backbones or another number of them, or a source
            is unreadable or belongs to another architecture.
    """
    if not isinstance(tower, TimmImageTower):
        raise RecipeError("start.image_weights needs an image tower of kind timm")
    if len(sources) != len(tower.backbones):
        raise RecipeError(
            f"start.image_weights names {len(sources)} sources for {len(tower.backbones)} backbones"
        )
    for backbone, source in zip(tower.backbones, sources, strict=True):
        candidates = list(_candidates(source))
        lacking = [_lacking(backbone, weights) for weights in candidates]
        if [] in lacking:
            _load(backbone, candidates[lacking.index([])])
            continue
        nearest = min(lacking, key=len, default=["an image tower of kind timm"])
        raise RecipeError(
            f"start.image_weights: {source} lacks {nearest[0]} (and {len(nearest) - 1} more); "
            "is it of another architecture?"
        )


def _candidates(source: Path) -> Iterator[Weights]:
    """Weights of each backbone that a source holds, by the names of timm."""
    file = source / WEIGHTS if source.is_dir() else source
    try:
        weights = load_file(file)
    except (OSError, SafetensorError) as error:
        raise RecipeError(f"start.image_weights: cannot read {file}: {error}") from error
    if not source.is_dir():
        yield weights
        return
    numbers = {name.split(".")[2] for name in weights if name.startswith(_BACKBONE)}
    for number in sorted(numbers, key=int):
        prefix = f"{_BACKBONE}{number}."
        yield {
            name.removeprefix(prefix): tensor
            for name, tensor in weights.items()
            if name.startswith(prefix)
        }


def _lacking(backbone: nn.Module, weights: Weights) -> list[str]:
    """Names that the backbone needs and that are missing or of another shape."""
    return [
        name
        for name, wanted in backbone.state_dict().items()
        if not name.endswith("num_batches_tracked")
        and (name not in weights or weights[name].shape != wanted.shape)
    ]


def _load(backbone: nn.Module, weights: Weights) -> None:
    wanted = backbone.state_dict()
    fitting = {
        name: tensor.to(wanted[name].dtype) for name, tensor in weights.items() if name in wanted
    }
    backbone.load_state_dict(fitting, strict=False)

"""Pretrained weights of timm backbones: by timm's name, from files, or of another checkpoint."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from retrieval.compress.start.settings import TIMM
from retrieval.models.checkpoint import WEIGHTS
from retrieval.models.sparse.file import read_weights
from retrieval.models.timm_tower import TimmImageTower
from retrieval.spec.errors import CheckpointError, RecipeError

Weights = Mapping[str, Tensor]

_BACKBONE = "image.backbones."


def load_backbone_weights(tower: nn.Module, sources: Sequence[str]) -> None:
    """Load one source into each timm backbone; classifier weights are ignored.

    Args:
        tower: Its backbones are filled in order.
        sources: Each ``timm:NAME``, whose pretrained weights timm downloads; a file of
            safetensors or of PyTorch's with the names of timm; or a checkpoint folder of
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


def _candidates(source: str) -> Iterator[Weights]:
    """Weights of each backbone that a source holds, by the names of timm."""
    if source.startswith(TIMM):
        yield _downloaded(source.removeprefix(TIMM))
        return
    path = Path(source)
    weights = _read(path / WEIGHTS if path.is_dir() else path)
    if not path.is_dir():
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


def _downloaded(name: str) -> Weights:
    import timm

    if not timm.is_model_pretrained(name):
        raise RecipeError(
            f"start.image_weights: timm has no pretrained weights {name!r}; "
            "timm.list_pretrained() lists all names"
        )
    try:
        weights: Weights = timm.create_model(name, pretrained=True, num_classes=0).state_dict()
    except Exception as error:  # Network, hub and file errors of three libraries.
        reason = " ".join(str(error).split())
        raise RecipeError(
            f"start.image_weights: timm cannot download {name}; where there is no network, "
            f"download the file elsewhere and name it instead ({reason})"
        ) from error
    return weights


def _read(file: Path) -> Weights:
    """Tensors of a file by name; a PyTorch file is read without running code it may hold."""
    try:
        if file.suffix == ".safetensors":
            return read_weights(file)
        from timm.models import load_state_dict

        found = load_state_dict(str(file), weights_only=True)
    except CheckpointError as error:
        raise RecipeError(f"start.image_weights: {error}") from error
    except FileNotFoundError as error:
        raise RecipeError(f"start.image_weights: there is no file {file}") from error
    except Exception as error:  # A damaged pickle can raise almost anything.
        reason = " ".join(str(error).split())
        raise RecipeError(f"start.image_weights: cannot read {file}: {reason}") from error
    return {name: tensor for name, tensor in found.items() if isinstance(tensor, Tensor)}


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

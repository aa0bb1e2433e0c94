"""Recipes and data on which whole runs take a second or two."""

from pathlib import Path
from typing import Any

import torch

from retrieval.compress.recipe import Recipe, make_recipe
from retrieval.compress.scenes import write_scenes
from retrieval.language.training import train_vocabulary
from retrieval.models.checkpoint import save_checkpoint
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.model import ModelConfig

SIZE = 32
VIT = {
    "kind": "vit",
    "patch": 8,
    "blocks": {"width": 32, "head_dim": 16, "layers": 1, "heads": 2, "neurons": 64},
}
TEXT = {"blocks": {"width": 32, "head_dim": 16, "layers": 1, "heads": 2, "neurons": 64}}
TRAINING = {
    "epochs": 2,
    "batch_size": 8,
    "learning_rate": 1e-3,
    "loader_workers": 0,
    "augmentation": {"mirror": False},
}


def student(dim: int = 16) -> dict[str, Any]:
    return {
        "name": "small",
        "embedding_dim": dim,
        "image": VIT,
        "text": TEXT,
        "preprocessing": {"size": SIZE, "resize_mode": "squash"},
        "vocabulary": {"size": 1024, "context_length": 24},
    }


def write_data(folder: Path, *, count: int = 24, size: int = 40) -> dict[str, Path]:
    """Captioned scenes to train on and for dev, their photos and their sentences alone."""
    pairs = write_scenes(folder / "pairs", count=count, seed=0, size=size)
    dev = write_scenes(folder / "dev", count=max(8, count // 4), seed=1, size=size)
    sentences = folder / "sentences.txt"
    sentences.write_text("\n".join(f"{n} red stars above a blue fish" for n in range(20)), "utf-8")
    return {
        "pairs": pairs,
        "dev": dev,
        "photos": pairs.parent / "images",
        "sentences": sentences,
    }


def write_teacher(folder: Path, *, dim: int = 16) -> Path:
    """A checkpoint with random weights: something to imitate, if nothing to learn from."""
    torch.manual_seed(7)
    tokenizer = train_vocabulary(
        ["red blue green stars fish boats above below two three"], size=600, context_length=24
    )
    config = ModelConfig.model_validate(
        {
            "name": "teacher",
            "embedding_dim": dim,
            "image": VIT,
            "text": TEXT,
            "preprocessing": {"size": SIZE, "resize_mode": "squash"},
            "tokens": tokenizer.spec,
        }
    )
    save_checkpoint(folder, DualEncoder(config), tokenizer)
    return folder


def _with_training(stage: dict[str, Any]) -> dict[str, Any]:
    if stage["stage"] in ("factorise", "average"):
        return stage
    return {**stage, "training": {**TRAINING, **stage.get("training", {})}}


def recipe(
    data: dict[str, Path],
    stages: list[dict[str, Any]],
    /,
    *,
    teacher: Path | list[Path] | None = None,
    use: tuple[str, ...] = ("pairs", "dev"),
    **changes: Any,
) -> Recipe:
    """A recipe over `write_data`'s files.

    Args:
        data: What `write_data` gave.
        stages: Each with the entries that it changes; training settings over `TRAINING`.
        teacher: Its checkpoint, or those of several.
        use: Which parts of the data the recipe names.
        changes: Other entries of the recipe; of ``data``, those to add.
    """
    whole = [_with_training(one) for one in stages]
    named: dict[str, Any] = {key: [str(data[key])] for key in use if key != "dev"}
    if "dev" in use:
        named["dev"] = str(data["dev"])
    value = {
        "name": "small",
        "teacher": [str(one) for one in teacher]
        if isinstance(teacher, list)
        else teacher and str(teacher),
        "student": student(),
        "data": named | changes.pop("data", {}),
        "stages": whole,
        **changes,
    }
    return make_recipe(value, origin="small.yaml", base=Path("/"))

"""The whole way on drawn scenes: a teacher, then a narrower student in two stages."""

from pathlib import Path
from typing import Any

import pytest
import torch

from retrieval.compress.data.tokens import trimmed
from retrieval.compress.embed import embed_ids, embed_photos
from retrieval.compress.runner import run_recipe, stage_metrics
from retrieval.compress.scenes import write_scenes
from retrieval.compress.student import make_student
from retrieval.corpora.pairs import flatten_captions, read_pairs
from retrieval.encode.torch import TorchEncoder
from retrieval.evaluate.recall import evaluate_retrieval
from retrieval.models.checkpoint import load_checkpoint
from tests.compress.small_runs import recipe

SIZE = 32
CONVOLUTIONS = {"kind": "timm", "backbones": [{"name": "resnet10t"}]}
BLOCKS = {"width": 64, "head_dim": 32, "layers": 1, "neurons": 128}
TRAINING = {
    "batch_size": 32,
    "learning_rate": 2e-3,
    "freeze_norm": False,
    "augmentation": {"min_area": 0.9, "aspect": 1.05, "mirror": False},
}


def shape(dim: int) -> dict[str, Any]:
    return {
        "name": "scenes",
        "embedding_dim": dim,
        "image": CONVOLUTIONS,
        "text": {"bag_of_tokens": True, "blocks": BLOCKS},
        "preprocessing": {"size": SIZE, "resize_mode": "squash", "interpolation": "bilinear"},
        "vocabulary": {"size": 1024, "context_length": 32},
    }


def stage(kind: str, epochs: int, **more: Any) -> dict[str, Any]:
    return {"stage": kind, **more, "training": {**TRAINING, "epochs": epochs}}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("scenes")
    return {
        "pairs": write_scenes(folder / "train", count=300, seed=0, size=64),
        "dev": write_scenes(folder / "dev", count=100, seed=1, size=64),
    }


def recall(figures: dict[str, Any]) -> float:
    return (figures["text_to_image"]["recall@10"] + figures["image_to_text"]["recall@10"]) / 2


def test_a_student_learns_from_its_teacher_and_from_pairs(
    data: dict[str, Path], tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    joint = stage(
        "finetune", 16, towers=["image", "text"], losses={"pairs": 1}, captions_per_photo=2
    )
    made = recipe(data, [joint], student=shape(64))
    teacher = run_recipe(made, tmp_path / "teacher")
    # Chance finds 10 of 100.
    taught = recall(stage_metrics(made, tmp_path / "teacher")[0]["dev"])
    assert taught > 0.2
    paired = {"pairs": 1, "affinity": 1, "hard_negatives": {"weight": 0.5, "mined": 16}}
    unpaired = {"contrastive": {"bank": 512}, "regression": 1}
    stages = [
        stage("distil", 8, tower="image", losses=unpaired),
        stage("distil", 8, tower="text", losses=unpaired),
        stage("finetune", 2, towers=["image"], losses=paired),
        stage("finetune", 2, towers=["text"], losses=paired),
    ]
    made = recipe(data, stages, teacher=teacher, student=shape(32))
    student = run_recipe(made, tmp_path / "student")
    found = [recall(one["dev"]) for one in stage_metrics(made, tmp_path / "student")]
    assert found[1] > 0.16
    assert found[-1] > 0.17
    start = _figures(make_student(made), data)
    assert found[-1] > recall(start) + 0.05
    _assert_students_cosines_are_the_teachers(tmp_path / "student" / "2-distil-text", teacher, data)
    assert TorchEncoder(student).encode_sentences(["a red star"]).shape == (1, 32)


def _figures(made: Any, data: dict[str, Path]) -> dict[str, Any]:
    model, tokenizer = made
    model.eval()
    pairs = read_pairs(data["dev"])
    sentences, owner = flatten_captions(pairs)
    images = embed_photos(model, [pair.image for pair in pairs], workers=0)
    texts = embed_ids(model, tokenizer.batch(sentences))
    return evaluate_retrieval(images.numpy(), texts.numpy(), owner).to_dict()


def _assert_students_cosines_are_the_teachers(
    student: Path, teacher: Path, data: dict[str, Path]
) -> None:
    """Both towers learned apart, yet their cosines are those of the (wider) teacher."""
    pairs = read_pairs(data["pairs"])[:100]
    sentences, _ = flatten_captions(pairs)
    cosines = []
    for folder in (student, teacher):
        loaded = load_checkpoint(folder)
        images = embed_photos(loaded.model, [pair.image for pair in pairs], workers=0)
        with torch.no_grad():
            ids = trimmed(loaded.tokenizer.batch(sentences), loaded.config.text)
            texts = loaded.model.encode_text(ids)
        cosines.append((images @ texts.T).flatten())
    assert torch.corrcoef(torch.stack(cosines))[0, 1] > 0.6

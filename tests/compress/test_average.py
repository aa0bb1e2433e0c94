"""The stage that averages weights: what comes out, and which checkpoints it refuses."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from retrieval.compress.runner import run_recipe, stage_metrics
from retrieval.models.checkpoint import load_checkpoint
from retrieval.spec.errors import CheckpointError, RecipeError
from tests.compress.small_runs import recipe, student, write_data, write_teacher

TRAIN = {
    "stage": "finetune",
    "towers": ["image", "text"],
    "losses": {"pairs": 1},
    "training": {"epochs": 1},
}


def average(*checkpoints: Path) -> dict[str, Any]:
    return {"stage": "average", "checkpoints": [str(one) for one in checkpoints]}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def relative(data: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_recipe(recipe(data, [TRAIN]), tmp_path_factory.mktemp("relative"))


def test_each_checkpoint_counts_as_much_as_the_student(
    data: dict[str, Path], relative: Path, tmp_path: Path
) -> None:
    shape = {**student(), "start": {"checkpoint": str(relative)}}
    made = recipe(data, [TRAIN, average(relative, relative)], student=shape)
    soup = run_recipe(made, tmp_path / "run")
    trained = load_file(tmp_path / "run" / "1-finetune-image-text" / "model.safetensors")
    other, found = load_file(relative / "model.safetensors"), load_file(soup / "model.safetensors")
    assert any(not torch.equal(trained[name], other[name]) for name in trained)
    for name, value in found.items():
        if value.is_floating_point():
            expected = (trained[name] + 2 * other[name]) / 3
            torch.testing.assert_close(value, expected, atol=1e-6, rtol=1e-5)
        else:
            assert torch.equal(value, trained[name])
    _, figures = stage_metrics(made, tmp_path / "run")
    assert figures["stage"] == "2-average-image-text"
    assert figures["averaged_with"] == [load_checkpoint(relative).fingerprint] * 2
    assert not (soup / "log.jsonl").exists()


def test_a_checkpoint_that_changed_is_averaged_anew_and_nothing_is_trained_again(
    data: dict[str, Path], relative: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(relative, tmp_path / "other")
    made = recipe(data, [TRAIN, average(other)])
    run_recipe(made, tmp_path / "run")
    trained, soup = (tmp_path / "run" / name for name in ("1-finetune-image-text", "student"))
    before = (trained / "metrics.json").stat().st_mtime_ns
    first = load_file(soup / "model.safetensors")
    weights = load_file(other / "model.safetensors")
    save_file({name: 2 * value for name, value in weights.items()}, other / "model.safetensors")
    run_recipe(made, tmp_path / "run")
    second = load_file(soup / "model.safetensors")
    assert any(not torch.equal(first[name], second[name]) for name in first)
    assert (trained / "metrics.json").stat().st_mtime_ns == before


def test_a_checkpoint_of_another_shape_or_vocabulary_is_refused(
    data: dict[str, Path], tmp_path: Path
) -> None:
    other = write_teacher(tmp_path / "other")
    with pytest.raises(RecipeError, match=r"other: its tokens is not the student's"):
        run_recipe(recipe(data, [average(other)]), tmp_path / "run")
    wide = write_teacher(tmp_path / "wide", dim=24)
    with pytest.raises(RecipeError, match=r"wide: its embedding_dim is not"):
        run_recipe(recipe(data, [average(wide)]), tmp_path / "run")


def test_a_missing_checkpoint_is_noticed_before_anything_is_trained(
    data: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="gone"):
        run_recipe(recipe(data, [TRAIN, average(tmp_path / "gone")]), tmp_path / "run")
    assert not list(tmp_path.glob("run/*"))

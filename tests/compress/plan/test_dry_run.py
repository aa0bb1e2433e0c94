"""The whole of ``leanclip compress --dry-run``, on a recipe small enough for a test."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from retrieval.compress.plan.done import finished_stages, steps_taken
from retrieval.compress.plan.stand_ins import student_stand_in, teacher_stand_in, tokenizer_of_size
from retrieval.compress.recipe import Recipe, load_recipe
from retrieval.compress.runner import run_recipe, stage_metrics
from retrieval.compress.start.settings import Vocabulary
from retrieval.models.checkpoint import load_checkpoint
from tests.compress.small_runs import TRAINING, student, write_data, write_teacher

STAGES: list[dict[str, Any]] = [
    {"stage": "distil", "tower": "image", "training": TRAINING},
    {"stage": "finetune", "towers": ["text"], "training": TRAINING},
]


def write_recipe(folder: Path, stages: list[dict[str, Any]], **data: Any) -> Path:
    value = {
        "name": "small",
        "teacher": "teacher",
        "student": student(),
        "data": {"pairs": ["pairs/pairs.jsonl"], **data},
        "stages": stages,
    }
    path = folder / "small.yaml"
    # As JSON, which is YAML too: stages that share settings in Python must not share them there.
    path.write_text(json.dumps(value), "utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_data(tmp_path)
    write_teacher(tmp_path / "teacher")
    return tmp_path


def test_a_dry_run_prices_every_step_and_runs_none(leanclip: Any, tmp_path: Path) -> None:
    write_teacher(tmp_path / "teacher")
    soup = {"stage": "average", "checkpoints": ["not-trained-yet"]}
    path = write_recipe(tmp_path, [STAGES[0], soup], dev="flickr30k/dev.jsonl")
    text = path.read_text("utf-8").replace("pairs/pairs.jsonl", "flickr30k/train.jsonl")
    path.write_text(text, "utf-8")
    status, output, _ = leanclip(
        "compress", path, "--out", tmp_path / "runs" / "small", "--dry-run", "--json"
    )
    assert status == 0
    bill = json.loads(output)
    steps = {step["name"]: step for step in bill["steps"]}
    assert list(steps) == [
        "teacher cache of flickr30k/dev.jsonl",
        "teacher cache of flickr30k/train.jsonl",
        "1-distil-image",
        "2-average-image-text",
        "student",
    ]
    trained = steps["1-distil-image"]
    assert "2 epochs of 3,625 steps with 8" in trained["what"]
    assert bill["seconds_left"] == pytest.approx(sum(one["seconds"] for one in steps.values()))
    assert bill["memory"] >= trained["memory"] > 0
    assert bill["disk"] > trained["disk"] > 0
    assert any("train.jsonl is not here: counted as the train split" in n for n in bill["notes"])
    assert any("generated photos of 500 x 375 pixels" in note for note in bill["notes"])
    assert not (tmp_path / "runs").exists()


def test_captions_without_photos_are_priced(leanclip: Any, files: Path) -> None:
    stages = [{"stage": "pretrain", "training": TRAINING}]
    path = write_recipe(files, stages, captions=["pairs/pairs.jsonl"])
    status, output, _ = leanclip("compress", path, "--dry-run", "--json")
    assert status == 0
    trained = {step["name"]: step for step in json.loads(output)["steps"]}["1-pretrain-text"]
    assert "2 epochs of 3 steps with 8" in trained["what"]
    assert trained["memory"] > 0


def test_missing_data_of_unknown_size_are_one_line(leanclip: Any, files: Path) -> None:
    path = write_recipe(files, STAGES, dev="mine/dev.jsonl")
    status, output, said = leanclip("compress", path, "--dry-run")
    assert (status, output) == (1, "")
    assert "bring the data first" in said.splitlines()[-1]


def test_what_is_finished_counts_as_done(files: Path) -> None:
    path = write_recipe(files, STAGES)
    recipe, folder = load_recipe(path), files / "runs" / "small"
    assert finished_stages(recipe, folder) == 0
    run_recipe(recipe, folder)
    assert len(stage_metrics(recipe, folder)) == finished_stages(recipe, folder) == 2
    assert finished_stages(changed(path, 1), folder) == 1
    assert finished_stages(changed(path, 0), folder) == 0
    (folder / "1-distil-image" / "recipe.yaml").write_text("{", "utf-8")
    assert finished_stages(recipe, folder) == 0


def changed(path: Path, number: int) -> Recipe:
    value = yaml.safe_load(path.read_text("utf-8"))
    value["stages"][number]["training"]["learning_rate"] = 2e-3
    other = path.with_name(f"other-{number}.yaml")
    other.write_text(yaml.safe_dump(value), "utf-8")
    return load_recipe(other)


def test_steps_of_a_saved_state_count(files: Path) -> None:
    recipe = load_recipe(write_recipe(files, STAGES))
    work = files / "run" / ".1-distil-image"
    work.mkdir(parents=True)
    lines = [json.dumps({"step": step, "seconds": 1.0}) for step in (1, 2, 3)]
    (work / "log.jsonl").write_text("\n".join([*lines, '{"step": 4, "sec']), "utf-8")
    assert steps_taken(recipe, 0, files / "run") == 0
    (work / "state.pt").write_bytes(b"")
    assert steps_taken(recipe, 0, files / "run") == 3


def test_a_stand_in_has_the_students_shape(files: Path) -> None:
    recipe = load_recipe(write_recipe(files, STAGES))
    made = student_stand_in(recipe, files / "stand-in")
    assert made.start.checkpoint == files / "stand-in"
    config = load_checkpoint(files / "stand-in").config
    assert config.tokens.vocabulary_size == 1024
    assert (config.image, config.text) == (recipe.student.image, recipe.student.text)


def test_a_vocabulary_that_only_data_could_size_is_clips() -> None:
    used = Vocabulary.model_validate({"from": "teacher", "size": "used", "context_length": 32})
    assert tokenizer_of_size(used).spec.vocabulary_size == 49_408


def test_a_teacher_that_lies_here_is_profiled_itself(files: Path) -> None:
    teacher = str(files / "teacher")
    assert teacher_stand_in(teacher, files / "stand-in") == teacher
    assert not (files / "stand-in").exists()

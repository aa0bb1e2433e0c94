"""Two processes follow the losses of one with the same batches, prune alike and resume."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from retrieval.compress.loop.reporter import SilentReporter
from retrieval.compress.recipe import Recipe
from retrieval.compress.runner import run_recipe
from tests.compress.distributed.processes import run_in_processes
from tests.compress.small_runs import recipe, write_data, write_teacher

SAVED = {"save_every_seconds": 1e-9, "token_dropout": 0.1}
HARD = {"weight": 0.5, "mined": 6, "negatives": 2}
STAGES: dict[str, dict[str, Any]] = {
    "pretrain": {"stage": "pretrain", "captions_per_photo": 3, "training": SAVED},
    "distil text": {
        "stage": "distil",
        "tower": "text",
        "losses": {"contrastive": {"bank": 8}, "regression": 1},
        "training": {**SAVED, "batch_size": 4, "accumulation": 2},
    },
    "finetune text": {
        "stage": "finetune",
        "towers": ["text"],
        "losses": {"pairs": 1, "affinity": 1, "hard_negatives": HARD},
        "captions_per_photo": 2,
        "training": {**SAVED, "average": 0.9},
    },
    "prune": {
        "stage": "finetune",
        "towers": ["image", "text"],
        "losses": {"pairs": 1, "self_teacher": 1, "snapshots": {"bank": 8}, "matryoshka": [8]},
        "prune": {
            "granularity": "neuron",
            "budget": {"sparsity": 0.5},
            "schedule": {"kind": "cubic", "calibration": 1},
            "importance": {"criterion": "taylor"},
        },
        "training": SAVED,
    },
}
KILLED_AT = 4


class DieAt(SilentReporter):
    """The process ends at once, as killed, when it reports a step."""

    def advance(self, done: int, total: int | None = None, note: str = "") -> None:
        if note and done == KILLED_AT:
            os._exit(9)


def train(rank: int, made: dict[str, Recipe], folder: Path) -> None:
    torch.set_num_threads(1)
    for name, one in made.items():
        run_recipe(one, folder / name)
        model = load_file(folder / name / "student" / "model.safetensors")
        torch.save({key: tensor.shape for key, tensor in model.items()}, folder / f"{rank}.pt")


def train_and_die(rank: int, made: Recipe, folder: Path) -> None:
    run_recipe(made, folder, reporter=DieAt())


def log_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "student" / "log.jsonl").open()]


def kept_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "student" / "metrics.json").read_text("utf-8"))["prune"]["kept"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of one process below ``alone``, of two below ``two``; one was killed meanwhile."""
    folder = tmp_path_factory.mktemp("runs")
    data = write_data(folder / "data")
    teacher = write_teacher(folder / "teacher", dim=24)
    # Captioned photos are captions, too.
    more = {"captions": [str(data["pairs"])]}
    made = {
        name: recipe(data, [stage], teacher=teacher, data=dict(more))
        for name, stage in STAGES.items()
    }
    train(0, made, folder / "alone")
    codes = run_in_processes(train_and_die, made["finetune text"], folder / "two" / "killed")
    assert codes[0] == 9
    assert codes[1] != 0
    state = folder / "two" / "killed" / ".1-finetune-text" / "state.pt"
    assert torch.load(state)["step"] == KILLED_AT - 1
    again = {**made, "killed": made["finetune text"]}
    assert run_in_processes(train, again, folder / "two") == [0, 0]
    return folder


@pytest.mark.parametrize("stage", STAGES)
def test_two_processes_follow_the_losses_of_one(runs: Path, stage: str) -> None:
    alone, two = log_of(runs / "alone" / stage), log_of(runs / "two" / stage)
    assert len(alone) == len(two) > 6
    for wanted, found in zip(alone, two, strict=True):
        assert wanted.keys() == found.keys()
        for name in wanted.keys() - {"seconds", "dev"}:
            assert found[name] == pytest.approx(wanted[name], abs=1e-5, rel=1e-5), name
        if "dev" in wanted:
            assert found["dev"]["score"] == pytest.approx(wanted["dev"]["score"])


@pytest.mark.parametrize("stage", STAGES)
def test_two_processes_end_with_the_weights_of_one(runs: Path, stage: str) -> None:
    alone, two = (
        load_file(runs / kind / stage / "student" / "model.safetensors")
        for kind in ("alone", "two")
    )
    assert alone.keys() == two.keys()
    for name, wanted in alone.items():
        # A softmax does not see the bias of its keys: what moves it is rounding alone.
        if not name.endswith("attention.key.bias"):
            torch.testing.assert_close(two[name], wanted, atol=1e-5, rtol=1e-5)


def test_all_processes_take_out_the_same_units_as_one(runs: Path) -> None:
    kept = kept_of(runs / "two" / "prune")
    assert kept == kept_of(runs / "alone" / "prune")
    assert all(0 < some < whole for some, whole in kept.values())


def test_a_killed_run_of_two_processes_resumes_exactly(runs: Path) -> None:
    killed, whole = runs / "two" / "killed", runs / "two" / "finetune text"
    logs = [log_of(killed), log_of(whole)]
    for entry in (entry for log in logs for entry in log):
        entry.pop("seconds", None)
    assert logs[0] == logs[1]
    weights = [load_file(run / "student" / "model.safetensors") for run in (killed, whole)]
    assert all(torch.equal(weights[0][name], tensor) for name, tensor in weights[1].items())

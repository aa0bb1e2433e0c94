"""A run that is stopped at any moment and started again equals one that never stopped."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
import yaml
from safetensors.torch import load_file

from retrieval.compress.loop.reporter import SilentReporter
from retrieval.compress.recipe import Recipe
from retrieval.compress.runner import run_recipe
from retrieval.spec.errors import TrainingError
from tests.compress.killing import KillAfter, Killed
from tests.compress.small_runs import recipe, write_data, write_teacher

NOISY = {
    "dropout": 0.2,
    "token_dropout": 0.1,
    "average": 0.9,
    "save_every_seconds": 1e-9,
    "augmentation": {"mirror": True, "colour": 0.2},
}
ACCUMULATED = {**NOISY, "batch_size": 4, "accumulation": 2}
HARD = {
    "stage": "finetune",
    "losses": {
        "pairs": 1,
        "affinity": 1,
        "hard_negatives": {"weight": 0.5, "mined": 6, "negatives": 2},
    },
}
UNPAIRED = {"contrastive": {"bank": 8}, "regression": 1}
STAGES: dict[str, dict[str, Any]] = {
    "distil image": {
        "stage": "distil",
        "tower": "image",
        "losses": UNPAIRED,
        "training": ACCUMULATED,
    },
    "distil text": {"stage": "distil", "tower": "text", "losses": UNPAIRED, "training": NOISY},
    "finetune image": {**HARD, "towers": ["image"], "captions_per_photo": 2, "training": NOISY},
    "finetune text": {**HARD, "towers": ["text"], "training": ACCUMULATED},
    "earlier selves": {
        "stage": "finetune",
        "towers": ["image", "text"],
        "losses": {
            "pairs": 1,
            "self_teacher": 1,
            "snapshots": {"bank": 8},
            "matryoshka": [8],
        },
        "training": NOISY,
    },
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_teacher(tmp_path_factory.mktemp("teacher") / "teacher", dim=24)


def result(folder: Path) -> tuple[list[dict[str, Any]], dict[str, torch.Tensor]]:
    """Log without times, and weights, of a finished run of one stage."""
    entries = [json.loads(line) for line in (folder / "student" / "log.jsonl").open()]
    for entry in entries:
        entry.pop("seconds", None)
    return entries, load_file(folder / "student" / "model.safetensors")


def assert_equal(found: Path, expected: Path) -> None:
    (log, weights), (wanted_log, wanted) = result(found), result(expected)
    assert log == wanted_log
    assert weights.keys() == wanted.keys()
    assert all(torch.equal(weights[name], tensor) for name, tensor in wanted.items())


@pytest.mark.parametrize("stage", STAGES)
def test_killed_in_the_middle_of_an_epoch_and_resumed(
    data: dict[str, Path], teacher: Path, tmp_path: Path, stage: str
) -> None:
    # The teacher's cache is shared: both runs lie in one folder.
    made = recipe(data, [STAGES[stage]], teacher=teacher)
    run_recipe(made, tmp_path / "whole")
    total = max(entry["step"] for entry in result(tmp_path / "whole")[0])
    for step in (2, total // 2 + 2, total):
        with pytest.raises(Killed):
            run_recipe(made, tmp_path / "killed", reporter=KillAfter(step))
    run_recipe(made, tmp_path / "killed")
    assert_equal(tmp_path / "killed", tmp_path / "whole")


def test_worker_processes_give_the_same_batches_and_resume_too(
    data: dict[str, Path], teacher: Path, tmp_path: Path
) -> None:
    stage = STAGES["finetune image"]
    run_recipe(recipe(data, [stage], teacher=teacher), tmp_path / "alone")
    workers = {**stage, "training": {**NOISY, "loader_workers": 2}}
    made = recipe(data, [workers], teacher=teacher)
    with pytest.raises(Killed):
        run_recipe(made, tmp_path / "workers", reporter=KillAfter(4))
    run_recipe(made, tmp_path / "workers")
    assert_equal(tmp_path / "workers", tmp_path / "alone")


def test_the_last_state_outlives_a_stop_between_training_and_checkpoint(
    data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = {"stage": "finetune", "towers": ["image", "text"], "losses": {"pairs": 1}}
    made = recipe(data, [stage])
    run_recipe(made, tmp_path / "whole")

    def kill(*_: object) -> NoReturn:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("retrieval.compress.runner.measure", kill)
        with pytest.raises(Killed):
            run_recipe(made, tmp_path / "killed")

    class Counting(SilentReporter):
        steps = 0

        def advance(self, done: int, total: int | None = None, note: str = "") -> None:
            self.steps += 1

    again = Counting()
    run_recipe(made, tmp_path / "killed", reporter=again)
    assert again.steps == 0
    assert_equal(tmp_path / "killed", tmp_path / "whole")


def test_a_state_of_another_recipe_is_refused(data: dict[str, Path], tmp_path: Path) -> None:
    training = {"save_every_seconds": 1e-9}
    stage = {"stage": "finetune", "towers": ["image", "text"], "losses": {"pairs": 1}}
    with pytest.raises(Killed):
        run_recipe(
            recipe(data, [{**stage, "training": training}]), tmp_path / "run", reporter=KillAfter(3)
        )
    state = tmp_path / "run" / ".1-finetune-image-text" / "state.pt"
    before = state.read_bytes()
    changed = recipe(data, [{**stage, "temperature": 0.1, "training": training}])
    with pytest.raises(TrainingError, match="state.pt belongs to another recipe; delete"):
        run_recipe(changed, tmp_path / "run")
    assert state.read_bytes() == before
    state.write_bytes(before[: len(before) // 2])
    with pytest.raises(TrainingError, match="state.pt is damaged") as caught:
        run_recipe(changed, tmp_path / "run")
    assert "\n" not in str(caught.value)


def test_a_full_disk_leaves_the_earlier_state(data: dict[str, Path], tmp_path: Path) -> None:
    stage = {
        "stage": "finetune",
        "towers": ["image", "text"],
        "losses": {"pairs": 1},
        "training": {"save_every_seconds": 1e-9},
    }
    made = recipe(data, [stage])
    run_recipe(made, tmp_path / "whole")
    folder = tmp_path / "run" / ".1-finetune-image-text"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    signals = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    class FillsTheDisk(SilentReporter):
        def advance(self, done: int, total: int | None = None, note: str = "") -> None:
            if done == 3:
                size = (folder / "state.pt").stat().st_size
                resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, limits[1]))

    try:
        with pytest.raises(OSError, match="File too large"):
            run_recipe(made, tmp_path / "run", reporter=FillsTheDisk())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, signals)
    assert torch.load(folder / "state.pt")["step"] == 2
    assert sorted(path.name for path in folder.iterdir()) == ["log.jsonl", "state.pt"]
    run_recipe(made, tmp_path / "run")
    assert_equal(tmp_path / "run", tmp_path / "whole")


@pytest.fixture
def written(data: dict[str, Path], teacher: Path, tmp_path: Path) -> tuple[Path, Recipe]:
    """A recipe as a file, with enough steps to be stopped in the middle of them."""
    stage = {**STAGES["finetune text"], "training": {**ACCUMULATED, "epochs": 40}}
    made = recipe(data, [stage], teacher=teacher)
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(made.model_dump(mode="json")), "utf-8")
    return path, made


@contextmanager
def started(path: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "retrieval.cli", "compress", str(path), "--out", str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_steps(process: subprocess.Popen[str], folder: Path, steps: int) -> None:
    log = folder / ".1-finetune-text" / "log.jsonl"
    given_up = time.monotonic() + 300
    while not log.exists() or log.read_text().count('"loss"') < steps:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < given_up, "the run does not start"
        time.sleep(0.02)


def test_killed_and_interrupted_through_the_command_line(
    written: tuple[Path, Recipe], tmp_path: Path
) -> None:
    path, made = written
    run_recipe(made, tmp_path / "whole")
    with started(path, tmp_path / "run") as process:
        wait_for_steps(process, tmp_path / "run", 5)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    with started(path, tmp_path / "run") as process:
        wait_for_steps(process, tmp_path / "run", 20)
        os.kill(process.pid, signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "Traceback" not in said
    assert said.count("leanclip: interrupted; ") == 1
    state = torch.load(tmp_path / "run/.1-finetune-text/state.pt")
    log = (tmp_path / "run/.1-finetune-text/log.jsonl").read_text().splitlines()
    assert state["step"] == json.loads(log[-1])["step"] >= 20
    run_recipe(made, tmp_path / "run")
    assert_equal(tmp_path / "run", tmp_path / "whole")

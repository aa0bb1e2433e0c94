"""The command as torchrun starts it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.compress.small_runs import recipe, write_data

PAIRS = {"stage": "finetune", "towers": ["text"], "losses": {"pairs": 1}}


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("-m", "retrieval.compress", *arguments),
    ]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_data(tmp_path_factory.mktemp("data"), count=8)


def write_recipe(data: dict[str, Path], path: Path, **training: object) -> Path:
    made = recipe(data, [{**PAIRS, "training": {"epochs": 1, "batch_size": 4, **training}}])
    path.write_text(yaml.safe_dump(made.model_dump(mode="json")), "utf-8")
    return path


def test_one_process_prints_the_result_of_all(data: dict[str, Path], tmp_path: Path) -> None:
    written = write_recipe(data, tmp_path / "recipe.yaml")
    done = torchrun(str(written), "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Dev recall@10") == 1
    assert done.stdout.splitlines()[-1] == str(tmp_path / "run" / "student")
    assert (tmp_path / "run" / "student" / "model.safetensors").exists()
    assert "Warning" not in done.stderr


def test_a_refusal_is_one_line_of_one_process(data: dict[str, Path], tmp_path: Path) -> None:
    written = write_recipe(data, tmp_path / "recipe.yaml", batch_size=5)
    refused = torchrun(str(written), "--out", str(tmp_path / "run"))
    assert refused.returncode != 0
    lines = [line for line in refused.stderr.splitlines() if line.startswith("leanclip: ")]
    assert lines == [
        "leanclip: stages.0.training.batch_size is 5, which cannot be divided among "
        "2 processes; choose a multiple of 2"
    ]

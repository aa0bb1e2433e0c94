"""A recipe's stage that quantises, from data to bundle."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from export.bundle import pack_bundle
from retrieval.compress.quantise.grids import on_grid
from retrieval.compress.runner import FINAL, run_recipe
from retrieval.encode.onnx import OnnxEncoder
from retrieval.encode.torch import TorchEncoder
from retrieval.models.checkpoint import load_checkpoint
from tests.compress.small_runs import recipe, write_data, write_teacher

INT4 = {"linear": "int4", "convolution": "int4", "embedding": "int4"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    quantise = {"weights": INT4, "group": 32, "start": 0.5}
    stage = {"stage": "distil", "tower": "text", "quantise": quantise}
    made = recipe(write_data(folder / "data"), [stage], teacher=write_teacher(folder / "teacher"))
    run_recipe(made, folder / "run")
    return folder / "run"


def test_the_checkpoint_is_plain_and_says_its_grid(run: Path) -> None:
    checkpoint = load_checkpoint(run / FINAL)
    grids = checkpoint.config.quantisation.grids
    assert {name.partition(".")[0] for name in grids} == {"text"}
    for name, grid in grids.items():
        weight = checkpoint.model.get_parameter(name).detach()
        assert torch.equal(on_grid(weight, grid), weight)
    figures = json.loads((run / FINAL / "metrics.json").read_text())["quantise"]
    assert figures["tensors"] == len(grids)


def test_the_bundle_computes_what_the_checkpoint_does(run: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(run / FINAL)
    bundle = pack_bundle(checkpoint, tmp_path / "bundle")
    assert {file.tower: file.precision for file in bundle.files} == {
        "image": "fp16",
        "text": "int4",
    }
    sentences = ["three red stars", "a blue fish above a green boat", ""]
    expected = TorchEncoder(checkpoint).encode_sentences(sentences)
    found = OnnxEncoder(tmp_path / "bundle").encode_sentences(sentences)
    assert np.sum(expected * found, axis=1).min() > 0.99999

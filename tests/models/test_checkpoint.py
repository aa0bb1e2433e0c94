import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from retrieval.models.checkpoint import (
    load_checkpoint,
    read_config,
    save_checkpoint,
    stored_fingerprint,
)
from retrieval.models.sparse.storage import Storage
from retrieval.spec.errors import CheckpointError
from tests.tiny import tiny_model, tiny_tokenizer


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_checkpoint(
        tmp_path / "model", tiny_model(), tiny_tokenizer(), metrics={"dev": 0.5}, recipe="name: r\n"
    )
    return tmp_path / "model"


def test_what_is_saved_is_loaded_again(saved: Path) -> None:
    loaded, model = load_checkpoint(saved), tiny_model()
    assert loaded.config == model.config
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor), name
    assert (loaded.metrics, loaded.recipe) == ({"dev": 0.5}, "name: r\n")
    assert (loaded.tokenizer("a red star") == tiny_tokenizer()("a red star")).all()
    assert loaded.fingerprint == stored_fingerprint(saved)
    assert not loaded.model.training


def test_half_precision_is_stored_in_half_the_bytes_and_loaded_as_float(tmp_path: Path) -> None:
    image = {"kind": "timm", "backbones": [{"name": "resnet10t"}]}
    model = tiny_model(image=image)
    sizes = []
    for values in ("fp32", "fp16"):
        save_checkpoint(tmp_path / "model", model, tiny_tokenizer(), storage=Storage(values=values))
        sizes.append((tmp_path / "model" / "model.safetensors").stat().st_size)
    assert sizes[1] < 0.55 * sizes[0]
    loaded = load_checkpoint(tmp_path / "model").model.state_dict()
    for name, tensor in model.state_dict().items():
        assert loaded[name].dtype == tensor.dtype, name
        expected = tensor.half().float() if tensor.is_floating_point() else tensor
        assert torch.equal(loaded[name], expected), name


def test_files_are_as_readable_as_others(saved: Path) -> None:
    plain = saved.parent / "plain"
    plain.touch()
    for path in saved.iterdir():
        assert path.stat().st_mode == plain.stat().st_mode, path.name


def test_saving_again_replaces_the_whole_folder(saved: Path) -> None:
    before = stored_fingerprint(saved)
    save_checkpoint(saved, tiny_model(seed=1), tiny_tokenizer())
    assert stored_fingerprint(saved) != before
    assert not (saved / "recipe.yaml").exists()
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_the_fingerprint_changes_with_weights_and_preprocessing(saved: Path) -> None:
    before = stored_fingerprint(saved)
    change(saved, lambda value: value["preprocessing"].update(interpolation="bilinear"))
    other = stored_fingerprint(saved)
    assert other != before
    change(saved, lambda value: value.update(name="renamed"))
    assert stored_fingerprint(saved) == other


def change(folder: Path, update: Callable[[dict], object]) -> None:
    value = json.loads((folder / "config.json").read_text())
    update(value)
    (folder / "config.json").write_text(json.dumps(value))


def refused(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_newer_format_says_so(saved: Path) -> None:
    change(saved, lambda value: value.update(format=2, something_new=1))
    assert "format 2, this leanclip reads up to 1: pip install --upgrade leanclip" in refused(saved)


def test_a_malformed_configuration_names_the_entry(saved: Path) -> None:
    change(saved, lambda value: value.update(embedding_dim="wide"))
    assert "config.json: embedding_dim: " in refused(saved)
    (saved / "config.json").write_text("{")
    assert "config.json" in refused(saved)
    (saved / "config.json").write_text("[]")
    assert "config.json" in refused(saved)


def test_no_checkpoint_at_all(tmp_path: Path) -> None:
    assert "is not a checkpoint: cannot read config.json" in refused(tmp_path)
    with pytest.raises(CheckpointError):
        read_config(tmp_path / "none")


def test_damaged_weights(saved: Path) -> None:
    path = saved / "model.safetensors"
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"\xff" * 100):
        path.write_bytes(damaged)
        assert "model.safetensors" in refused(saved)
    path.unlink()
    assert "model.safetensors" in refused(saved)


def test_weights_of_another_model(saved: Path) -> None:
    path = saved / "model.safetensors"
    weights = load_file(path)
    projection = weights.pop("text.projection.weight")
    save_file(weights, path)
    assert "it has no text.projection.weight" in refused(saved)
    save_file({**weights, "text.projection.weight": projection[:-1].clone()}, path)
    assert "text.projection.weight is (23, 32), not (24, 32)" in refused(saved)
    save_file({**weights, "text.projection.weight": projection, "x": projection.clone()}, path)
    assert "it has an unknown x" in refused(saved)


def test_a_damaged_vocabulary(saved: Path) -> None:
    (saved / "merges.txt").write_text("a b\n")
    assert "merges.txt is missing, damaged or of another checkpoint" in refused(saved)

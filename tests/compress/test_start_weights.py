from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from retrieval.compress.start.weights import load_backbone_weights
from retrieval.models.timm_tower import TimmImageTower
from retrieval.spec.errors import RecipeError
from retrieval.spec.model import TimmTower
from tests.tiny import tiny_checkpoint

NAME = "test_resnet"


def tower(*names: str, seed: int = 0) -> TimmImageTower:
    torch.manual_seed(seed)
    spec = TimmTower.model_validate({"backbones": [{"name": name} for name in names or (NAME,)]})
    return TimmImageTower(spec, 24)


def with_classifier(backbone: nn.Module) -> dict[str, torch.Tensor]:
    return {**backbone.state_dict(), "fc.weight": torch.zeros(3, 4), "fc.bias": torch.zeros(3)}


def assert_same(one: nn.Module, other: nn.Module) -> None:
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


@pytest.mark.parametrize("nested", [None, "state_dict", "model"])
@pytest.mark.parametrize("suffix", ["pth", "bin", "pt"])
def test_files_of_pytorch_are_read(tmp_path: Path, suffix: str, nested: str | None) -> None:
    given = tower(seed=1).backbones[0]
    weights = {f"module.{name}": tensor for name, tensor in with_classifier(given).items()}
    path = tmp_path / f"weights.{suffix}"
    torch.save({nested: weights, "epoch": 3} if nested else weights, path)
    student = tower()
    load_backbone_weights(student, [str(path)])
    assert_same(student.backbones[0], given)


def test_safetensors_and_checkpoints_are_read(tmp_path: Path) -> None:
    given = tower(seed=1).backbones[0]
    save_file(with_classifier(given), tmp_path / "weights.safetensors")
    image = {"kind": "timm", "backbones": [{"name": "test_vit"}, {"name": NAME}]}
    checkpoint = tiny_checkpoint(tmp_path / "checkpoint", image=image, seed=2)
    student = tower(NAME, NAME)
    sources = [str(tmp_path / "weights.safetensors"), str(tmp_path / "checkpoint")]
    load_backbone_weights(student, sources)
    assert_same(student.backbones[0], given)
    assert_same(student.backbones[1], checkpoint.model.image.backbones[1])


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "harm",)  # type: ignore[return-value]

    torch.save({"state_dict": Harmful()}, tmp_path / "weights.pth")
    with pytest.raises(RecipeError, match=r"cannot read .*weights\.pth"):
        load_backbone_weights(tower(), [str(tmp_path / "weights.pth")])
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04"])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_damaged_files_are_one_line(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"weights.{suffix}"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match="cannot read") as caught:
        load_backbone_weights(tower(), [str(path)])
    assert "\n" not in str(caught.value)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    torch.save(tower("test_vit").backbones[0].state_dict(), tmp_path / "vit.pth")
    tiny_checkpoint(tmp_path / "vit")
    for source, said in [
        ("vit.pth", "of another architecture"),
        ("vit", "lacks an image tower of kind timm"),
        ("none.pth", "there is no file"),
    ]:
        with pytest.raises(RecipeError, match=said):
            load_backbone_weights(tower(), [str(tmp_path / source)])
    with pytest.raises(RecipeError, match="names 2 sources for 1 backbones"):
        load_backbone_weights(tower(), ["a", "b"])
    with pytest.raises(RecipeError, match="kind timm"):
        load_backbone_weights(nn.Linear(2, 2), ["a"])


def test_timm_downloads_what_it_knows_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    given = tower(seed=1).backbones[0]
    asked = []

    def create_model(name: str, **options: object) -> nn.Module:
        asked.append((name, options))
        return given

    student = tower()
    monkeypatch.setattr("timm.create_model", create_model)
    load_backbone_weights(student, [f"timm:{NAME}.r160_in1k"])
    assert asked == [(f"{NAME}.r160_in1k", {"pretrained": True, "num_classes": 0})]
    assert_same(student.backbones[0], given)


def test_without_a_network_a_file_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def create_model(name: str, **options: object) -> nn.Module:
        raise OSError("no route\nto host")

    student = tower()
    monkeypatch.setattr("timm.create_model", create_model)
    said = r"cannot download test_resnet; .*download the file elsewhere and name it .*no route to"
    with pytest.raises(RecipeError, match=said):
        load_backbone_weights(student, ["timm:test_resnet"])
    with pytest.raises(RecipeError, match=r"no pretrained weights 'test_resnet.v9'"):
        load_backbone_weights(student, ["timm:test_resnet.v9"])

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from export.targets.graphs import image_graph
from export.targets.onnx import serialise, trace
from export.verify.parity import run_batch
from retrieval.encode.onnx import as_input
from retrieval.models.checkpoint import load_checkpoint, save_checkpoint
from retrieval.models.dual_encoder import DualEncoder, parameter_count
from retrieval.models.normalise import PixelNormaliser
from retrieval.models.surgery import dependencies
from retrieval.models.surgery.channels import channel_groups
from retrieval.models.surgery.gates import gated
from retrieval.models.surgery.shrink import shrink
from retrieval.models.surgery.units import Group, Kept
from retrieval.models.surgery.widths import narrow
from retrieval.spec.errors import CheckpointError, SurgeryError
from tests.models.surgery.towers import weights_per_unit
from tests.tiny import tiny_model, tiny_tokenizer

SIZE = 64
MOBILENET_V1 = {"name": "mobilenetv1_100"}
FAMILIES: dict[str, dict[str, Any]] = {
    "mobilenetv2_100": {"pad_type": "same"},
    "mobilenetv1_100": {},
    "mobilenetv3_small_100": {},
    "mobilenetv4_conv_small": {},
    "repvit_m0_9": {},
    "fastvit_t8": {},
    "efficientnet_lite0": {},
    "resnet18": {},
}


def awake(*backbones: dict[str, Any], **tower: Any) -> DualEncoder:
    """Random weights and batch statistics, none zero or one throughout."""
    image = {"kind": "timm", "backbones": backbones, **tower}
    model = tiny_model(image=image, size=SIZE)
    torch.manual_seed(1)
    with torch.no_grad():
        for tensor in (*model.image.parameters(), *model.image.buffers()):
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.add_(torch.rand_like(tensor), alpha=0.3)
            elif tensor.is_floating_point() and not tensor.any():
                tensor.normal_(std=0.1)
    return model


def some(groups: list[Group], *, every: int = 1) -> dict[str, Tensor]:
    """Random channels of every such group, more than half of them."""
    torch.manual_seed(2)
    return {
        group.name: torch.randperm(group.units)[: -(-group.units * 5 // 8 // 8) * 8].sort().values
        for group in groups[::every]
    }


def pixels() -> Tensor:
    return torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(3))


@torch.no_grad()
def silenced(model: DualEncoder, groups: list[Group], kept: Kept) -> Tensor:
    for group in groups:
        if group.name in kept:
            keep = torch.zeros(group.units, dtype=torch.bool)
            keep[kept[group.name]] = True
            group.silence(keep)
    return model.encode_image(pixels())


@pytest.mark.parametrize("name", FAMILIES)
def test_a_model_without_channels_equals_one_where_they_are_silenced(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = awake({"name": name, "options": FAMILIES[name]})
    groups = channel_groups(model)
    kept = some(groups)
    smaller = shrink(model, kept)
    with torch.no_grad():
        whole, found = model.encode_image(pixels()), smaller.encode_image(pixels())
    expected = silenced(model, groups, kept)
    assert (expected - whole).abs().max() > 1e-3
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert parameter_count(smaller.image) < 0.8 * parameter_count(model.image)

    save_checkpoint(tmp_path / "smaller", smaller, tiny_tokenizer())
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    loaded = load_checkpoint(tmp_path / "smaller")
    assert loaded.config == smaller.config
    with torch.no_grad():
        assert torch.equal(loaded.model.encode_image(pixels()), found)


def test_a_group_holds_all_that_goes_with_a_channel() -> None:
    groups = channel_groups(awake(MOBILENET_V1))
    assert [group.name for group in groups[:2]] == [
        "image.backbones.0.channel.0",
        "image.backbones.0.channel.1",
    ]
    first = groups[0]
    assert (first.units, first.multiple, first.least) == (32, 8, 8)
    # Stem 3 x 3 x 3, depthwise 3 x 3, two batch norms, a column of the 64 convolutions after.
    assert weights_per_unit(first) == 27 + 9 + 2 * 2 + 64
    last = groups[-1]
    assert [member.name for member in last.silencers] == ["image.projection.weight"]


def test_batch_statistics_stay_with_their_channels() -> None:
    model = awake(MOBILENET_V1, standardise=True)
    groups = channel_groups(model)
    first, last = groups[0], groups[-1]
    kept = {
        first.name: torch.tensor([1, 2, 3, 5, 8, 12, 13, 15]),
        last.name: torch.arange(0, last.units, 4),
    }
    state, found = model.image.state_dict(), shrink(model, kept).image.state_dict()
    for name, units in {
        "backbones.0.bn1.running_var": kept[first.name],
        "backbones.0.bn1.running_mean": kept[first.name],
        "feature_mean": kept[last.name],
        "feature_scale": kept[last.name],
    }.items():
        assert torch.equal(found[name], state[name][units]), name


def test_joined_backbones_keep_their_own_features_in_the_projection() -> None:
    model = awake(MOBILENET_V1, {"name": "resnet10t"}, standardise=True)
    groups = channel_groups(model)
    assert {group.name.rpartition(".")[0] for group in groups} == {
        "image.backbones.0.channel",
        "image.backbones.1.channel",
    }
    kept = some(groups, every=2) | some([group for group in groups if _read_last(group)])
    assert sum(_read_last(group) for group in groups) == 2
    with torch.no_grad():
        found = shrink(model, kept).encode_image(pixels())
    torch.testing.assert_close(found, silenced(model, groups, kept), atol=1e-5, rtol=1e-4)


def _read_last(group: Group) -> bool:
    return any(member.name == "image.projection.weight" for member in group.members)


def test_what_was_pruned_is_pruned_again() -> None:
    model = awake(MOBILENET_V1)
    once = shrink(model, some(channel_groups(model), every=3))
    groups = channel_groups(once)
    kept = some(groups, every=2)
    with torch.no_grad():
        found = shrink(once, kept).encode_image(pixels())
    torch.testing.assert_close(found, silenced(once, groups, kept), atol=1e-5, rtol=1e-4)


def test_a_closed_gate_is_silence() -> None:
    model = awake({"name": "mobilenetv3_small_100"})
    groups = channel_groups(model)
    kept = some(groups)
    values = {
        group.name: torch.zeros(group.units).index_fill(0, kept[group.name], 1) for group in groups
    }
    with gated(groups, values), torch.no_grad():
        found = model.encode_image(pixels())
    torch.testing.assert_close(found, silenced(model, groups, kept), atol=1e-5, rtol=1e-4)


def test_a_pruned_tower_is_exported() -> None:
    model = awake({"name": "mobilenetv2_100", "options": {"pad_type": "same"}})
    smaller = shrink(model, some(channel_groups(model)))
    spec = smaller.config.preprocessing
    random = torch.Generator().manual_seed(0)
    plain = torch.randint(0, 256, (3, 3, SIZE, SIZE), generator=random, dtype=torch.uint8)
    data = serialise(trace(image_graph(smaller), as_input(plain[:2].numpy(), spec)))
    with torch.inference_mode():
        expected = smaller.encode_image(PixelNormaliser(spec)(plain))
    found = torch.from_numpy(run_batch(data, as_input(plain.numpy(), spec)))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_looking_for_groups_leaves_the_model_and_the_random_numbers_alone() -> None:
    model = awake(MOBILENET_V1).train()
    model.image.backbones.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    numbers = torch.get_rng_state()
    groups = channel_groups(model)
    assert torch.equal(torch.get_rng_state(), numbers)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert not next(model.image.backbones.parameters()).requires_grad
    named = dict(model.named_parameters())
    assert all(named[one.name] is one.parameter for group in groups for one in group.members)


def test_groups_where_removal_is_not_silence_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model = awake(MOBILENET_V1)
    names = [group.name for group in channel_groups(model)]
    real = dependencies._cuts
    calls = []

    def forget_a_buffer(*args: Any) -> Any:
        calls.append(args)
        cuts = real(*args)
        if len(calls) != 2:
            return cuts
        return tuple(cut for cut in cuts if not cut.name.endswith("running_mean"))

    monkeypatch.setattr(dependencies, "_cuts", forget_a_buffer)
    assert [group.name for group in channel_groups(model)] == names[:1] + names[2:]


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        ({"kind": "timm", "backbones": [{"name": "vit_tiny_patch16_224"}]}, "blocks.0.attn is att"),
        (None, "kind vit"),
    ],
)
def test_towers_without_channels_are_refused(image: dict[str, Any] | None, problem: str) -> None:
    with pytest.raises(SurgeryError, match=problem):
        channel_groups(tiny_model(image=image))


@pytest.mark.parametrize(
    ("widths", "problem"),
    [
        ({"conv_stam": (3, 8)}, "no module 'conv_stam'"),
        ({"conv_stem": (3, 40)}, "3 to 40 is wider than the 3 to 32"),
        ({"bn1": (8, 16)}, "8 to 16 differ"),
        ({"blocks": (8, 8)}, "a Sequential, which cannot"),
        ({"conv_stem": (3, 8)}, "do not fit together"),
    ],
)
def test_widths_that_cannot_be_are_refused(widths: Any, problem: str) -> None:
    image = {"kind": "timm", "backbones": [{**MOBILENET_V1, "widths": widths}]}
    with pytest.raises(CheckpointError, match=f"^mobilenetv1_100: .*{problem}") as raised:
        tiny_model(image=image)
    assert "\n" not in str(raised.value)


def test_a_narrowed_network_keeps_its_first_channels() -> None:
    network = nn.Sequential(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 3, groups=6), nn.Linear(6, 4))
    first, second, third = (layer.weight for layer in network)
    narrow(network, {"0": (3, 2), "1": (2, 2), "2": (2, 3)})
    assert torch.equal(network[0].weight, first[:2])
    assert torch.equal(network[1].weight, second[:2])
    assert network[1].groups == 2
    assert torch.equal(network[2].weight, third[:3, :2])
    assert network[2].bias.shape == (3,)

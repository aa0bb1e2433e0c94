import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import retrieval.models.torchvision_guard  # noqa: F401  (before timm)
from retrieval.models.strided import without_stride

REPOSITORY = Path(__file__).parents[2]


def trained(module: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    given = inputs.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        found = module(given)
    (found.float() * torch.linspace(-1, 1, found.numel()).view_as(found)).sum().backward()
    assert given.grad is not None
    gradients = [one.grad.clone() for one in module.parameters() if one.grad is not None]
    module.zero_grad()
    return found, given.grad, gradients


@pytest.mark.parametrize("side", [7, 8, 11, 20])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("padding", ["same", "both"])
@pytest.mark.parametrize("stride", [2, 3])
def test_results_and_gradients_are_those_of_the_strided_convolution(
    side: int, kernel: int, padding: str, stride: int
) -> None:
    from timm.layers import create_conv2d

    torch.manual_seed(0)
    pad: Any = "same" if padding == "same" else kernel // 2
    plain = create_conv2d(16, 16, kernel, stride=stride, padding=pad, depthwise=True, bias=True)
    quick = copy.deepcopy(plain)
    without_stride(quick)
    assert type(quick) is not type(plain)
    inputs = torch.randn(3, 16, side, side + 1)
    expected, found = trained(plain, inputs), trained(quick, inputs)
    assert torch.equal(found[0], expected[0])
    torch.testing.assert_close(found[1], expected[1], rtol=1e-2, atol=1e-2)
    for one, other in zip(found[2], expected[2], strict=True):
        torch.testing.assert_close(one, other, rtol=2e-2, atol=2e-2)


def test_every_position_is_computed_only_where_it_is_quicker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    conv = nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8)
    without_stride(conv)
    strides: list[Any] = []
    plain = torch.nn.functional.conv2d

    def watched(given: Tensor, weight: Tensor, bias: Tensor, stride: Any, *rest: Any) -> Tensor:
        strides.append(stride)
        return plain(given, weight, bias, stride, *rest)

    monkeypatch.setattr(torch.nn.functional, "conv2d", watched)
    inputs = torch.randn(2, 8, 6, 6)
    conv(inputs)
    with torch.autocast("cpu", torch.bfloat16):
        conv(inputs)
        conv.eval()(inputs)
    assert strides == [(2, 2), 1, (2, 2)]


@pytest.mark.parametrize(("channels", "groups"), [(3, 1), (24, 1), (8, 4)])
def test_a_pointwise_convolution_leaves_positions_out_beforehand(
    channels: int, groups: int
) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(channels, 16, 1, stride=2, groups=groups)
    sparse = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    without_stride(sparse)
    inputs = torch.randn(2, channels, 9, 8)
    expected, found = plain(inputs), sparse(inputs.to(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(sparse.eval()(inputs), expected)
    for one, output in ((plain, expected), (sparse, found)):
        output.square().sum().backward()
        assert one.weight.grad is not None
    torch.testing.assert_close(sparse.weight.grad, plain.weight.grad, rtol=1e-4, atol=1e-4)


def test_a_tower_trains_whose_strided_convolution_ends_the_process() -> None:
    """In a process of its own: where the convolution is left alone it takes the tests along."""
    script = """
import torch
from torch import nn
from retrieval.models.strided import without_stride
stem = nn.Sequential(nn.Conv2d(3, 64, 1, stride=2), nn.Conv2d(64, 8, 3))
stem = stem.to(memory_format=torch.channels_last)
without_stride(stem)
for _ in range(4):
    photos = torch.randn(4, 3, 256, 256).to(memory_format=torch.channels_last)
    stem(photos).square().mean().backward()
print(bool(stem[0].weight.grad.isfinite().all()))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr


def test_other_convolutions_stay_as_they_are() -> None:
    others = nn.ModuleList(
        [
            nn.Conv2d(8, 8, 3, padding=1, groups=8),
            nn.Conv2d(8, 8, 3, stride=2, padding=1),
            nn.Conv2d(8, 8, 3, stride=2, padding=0, groups=8),
            nn.Conv2d(8, 8, 4, stride=2, padding=1, groups=8),
            nn.Conv2d(8, 8, 3, stride=2, padding=2, dilation=2, groups=8),
            nn.Conv2d(8, 16, 1),
            nn.Conv2d(8, 16, 1, stride=2, padding=1),
        ]
    )
    without_stride(others)
    assert {type(one) for one in others} == {nn.Conv2d}


def test_a_tower_keeps_its_parameters_and_can_be_changed_twice_and_copied() -> None:
    import timm

    torch.manual_seed(0)
    tower = timm.create_model("mobilenetv2_100", num_classes=0, pad_type="same")
    before = {name: value.clone() for name, value in tower.state_dict().items()}
    inputs = torch.randn(2, 3, 64, 64)
    expected = tower.eval()(inputs)
    without_stride(tower)
    without_stride(tower)
    assert [type(m).__name__ for m in tower.modules()].count("_EveryConv2dSame") == 4
    other = copy.deepcopy(tower)
    assert tower.state_dict().keys() == before.keys()
    assert torch.equal(other.eval()(inputs), expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert other.train()(inputs).shape == expected.shape

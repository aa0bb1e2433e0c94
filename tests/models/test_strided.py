import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import retrieval.models.torchvision_guard  # noqa: F401  (before timm)
from retrieval.models.strided import quicken_strided


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
    quicken_strided(quick)
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
    quicken_strided(conv)
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


def test_other_convolutions_stay_as_they_are() -> None:
    others = nn.ModuleList(
        [
            nn.Conv2d(8, 8, 3, padding=1, groups=8),
            nn.Conv2d(8, 8, 3, stride=2, padding=1),
            nn.Conv2d(8, 8, 3, stride=2, padding=0, groups=8),
            nn.Conv2d(8, 8, 4, stride=2, padding=1, groups=8),
            nn.Conv2d(8, 8, 3, stride=2, padding=2, dilation=2, groups=8),
            nn.Conv2d(8, 16, 1, stride=2, groups=8),
        ]
    )
    quicken_strided(others)
    assert {type(one) for one in others} == {nn.Conv2d}


def test_a_tower_keeps_its_parameters_and_can_be_quickened_twice_and_copied() -> None:
    import timm

    torch.manual_seed(0)
    tower = timm.create_model("mobilenetv2_100", num_classes=0, pad_type="same")
    before = {name: value.clone() for name, value in tower.state_dict().items()}
    inputs = torch.randn(2, 3, 64, 64)
    expected = tower.eval()(inputs)
    quicken_strided(tower)
    quicken_strided(tower)
    assert [type(m).__name__ for m in tower.modules()].count("QuickConv2dSame") == 4
    other = copy.deepcopy(tower)
    assert tower.state_dict().keys() == before.keys()
    assert torch.equal(other.eval()(inputs), expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert other.train()(inputs).shape == expected.shape

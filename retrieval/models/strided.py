"""Strided depthwise convolutions whose backward pass is quick in low precision on CPUs."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def quicken_strided(module: nn.Module) -> None:
    """Let strided depthwise convolutions in ``module`` compute every position in training.

    In bfloat16 oneDNN has a fast backward pass for stride 1 only; for stride 2 it took two to
    five times as long as stride 1 and dropping what the stride leaves out. Padding on one
    side alone, as ``pad_type: same`` asks for, costs a copy of the input besides. Results are
    the same bit for bit, gradients up to the order of sums. In evaluation, on other devices,
    in other precision and for exporters nothing changes; parameters keep their names.
    """
    for child in module.modules():
        if isinstance(child, nn.Conv2d) and not isinstance(child, _Quick) and _qualifies(child):
            child.__class__ = _quick(type(child))


class _Quick(nn.Conv2d):
    """Marks what `quicken_strided` has changed."""

    def forward(self, input: Tensor) -> Tensor:
        if not (self.training and _in_bfloat16_on_cpu(input)):
            return super().forward(input)
        kernel, stride = self.kernel_size[0], self.stride[0]
        middle = (kernel - 1) // 2
        whole = F.conv2d(input, self.weight, self.bias, 1, middle, 1, self.groups)
        rows, columns = (
            middle - (_padding_before(side, kernel, stride) if self._pads_one_side else middle)
            for side in input.shape[2:]
        )
        return whole[:, :, rows::stride, columns::stride]

    @property
    def _pads_one_side(self) -> bool:
        # timm's Conv2dSame pads outside of the convolution itself.
        return self.padding[0] == 0


_QUICK: dict[type[nn.Conv2d], Any] = {}


def _quick(base: type[nn.Conv2d]) -> Any:
    """One class for each kind of convolution, so that copies of a module share it."""
    if base not in _QUICK:
        _QUICK[base] = type(f"Quick{base.__name__}", (_Quick, base), {})
    return _QUICK[base]


def _qualifies(conv: nn.Conv2d) -> bool:
    kernel, stride = conv.kernel_size, conv.stride
    square = kernel[0] == kernel[1] and stride[0] == stride[1] and kernel[0] % 2 == 1
    middle = (kernel[0] - 1) // 2
    same = type(conv).__name__ == "Conv2dSame" and conv.padding == (0, 0)
    return (
        square
        and stride[0] > 1
        and kernel[0] >= stride[0]
        and conv.groups == conv.in_channels > 1
        and conv.dilation == (1, 1)
        and conv.padding_mode == "zeros"
        and (same or conv.padding == (middle, middle))
    )


def _in_bfloat16_on_cpu(input: Tensor) -> bool:
    if input.device.type != "cpu":
        return False
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu") == torch.bfloat16
    return input.dtype == torch.bfloat16


def _padding_before(side: int, kernel: int, stride: int) -> int:
    """What TensorFlow's ``SAME`` puts before the first row or column."""
    return max(0, (-(-side // stride) - 1) * stride + kernel - side) // 2

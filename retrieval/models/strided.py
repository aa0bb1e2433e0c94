"""Strided convolutions whose backward pass oneDNN computes slowly, or not at all, on CPUs."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def without_stride(module: nn.Module) -> None:
    """Let strided convolutions in ``module`` train as convolutions of stride 1.

    Depthwise ones compute every position, in bfloat16: oneDNN has a fast backward pass for
    stride 1 only; for stride 2 it took two to five times as long as stride 1 and dropping
    what the stride leaves out. Padding on one side alone, as ``pad_type: same`` asks for,
    costs a copy of the input besides.

    Pointwise ones leave positions out beforehand: in channels-last memory the backward pass
    for stride 2 and fewer than sixteen input channels writes past its workspace and ends the
    process (oneDNN issue 6035; FastViT's stem is such a one).

    Results are the same bit for bit, gradients up to the order of sums. In evaluation, on
    other devices and for exporters nothing changes; parameters keep their names.
    """
    for child in module.modules():
        if isinstance(child, nn.Conv2d) and not isinstance(child, _Every | _Subsampled):
            if _is_depthwise(child):
                child.__class__ = _derived(_Every, type(child))
            elif _is_pointwise(child):
                child.__class__ = _derived(_Subsampled, type(child))


class _Subsampled(nn.Conv2d):
    """A pointwise convolution that looks only at the positions it keeps."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or input.device.type != "cpu":
            return super().forward(input)
        rows, columns = self.stride
        return F.conv2d(input[:, :, ::rows, ::columns], self.weight, self.bias, groups=self.groups)


class _Every(nn.Conv2d):
    """A depthwise convolution that computes every position."""

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


_DERIVED: dict[tuple[type[nn.Conv2d], type[nn.Conv2d]], Any] = {}


def _derived(kind: type[nn.Conv2d], base: type[nn.Conv2d]) -> Any:
    """One class for each kind of convolution, so that copies of a module share it."""
    if (kind, base) not in _DERIVED:
        _DERIVED[kind, base] = type(f"{kind.__name__}{base.__name__}", (kind, base), {})
    return _DERIVED[kind, base]


def _is_pointwise(conv: nn.Conv2d) -> bool:
    return conv.kernel_size == (1, 1) and max(conv.stride) > 1 and conv.padding in ((0, 0), "valid")


def _is_depthwise(conv: nn.Conv2d) -> bool:
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

"""Rounding to a grid, and gradients that ignore the rounding.

A row of weights (see `retrieval.spec.quantisation.Grid`) becomes whole codes times a scale:

* int8 and int4: scale = largest magnitude / 127 or 7, codes rounded half to even;
* ternary (TernaryBERT, Zhang et al. 2020, after Li et al. 2016): with
  ``threshold = 0.7 mean |w|``, the scale is the mean magnitude of what exceeds it, codes are
  the signs of that, and 0 elsewhere.
"""

from typing import Any

import torch
from torch import Tensor

from retrieval.spec.quantisation import LARGEST_CODE, Grid

TERNARY_CLIP = 2.5
"""Ternary weights beyond this are cut and get no gradient, as in TernaryBERT."""

SCALE_BITS = 11
"""Significant bits of a scale. Its products with codes of 8 bits are then exact in float32,
so a scale can be read back from the values, and most scales fit float16."""


def split(weight: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """Codes and scales of a weight.

    Args:
        weight: Any shape; its first dimension are output channels or tokens.
        grid: What shares a scale.

    Returns:
        Whole numbers ``(rows, columns)`` in the weight's order and type, and ``(rows, 1)``.
    """
    rows = _rows(weight.float(), grid)
    if grid.kind == "ternary":
        rows = rows.clamp(-TERNARY_CLIP, TERNARY_CLIP)
        magnitudes = rows.abs()
        large = (magnitudes > 0.7 * magnitudes.mean(dim=1, keepdim=True)).float()
        total = (magnitudes * large).sum(dim=1, keepdim=True)
        scales = _short(total / large.sum(dim=1, keepdim=True).clamp(min=1))
        return rows.sign() * large, scales
    scales = _short(rows.abs().amax(dim=1, keepdim=True) / LARGEST_CODE[grid.kind])
    return (rows / scales).round(), scales


def on_grid(weight: Tensor, grid: Grid) -> Tensor:
    """The nearest values of the grid; same shape and type."""
    codes, scales = split(weight, grid)
    return (codes * scales).view(weight.shape).to(weight.dtype)


def straight_through(weight: Tensor, grid: Grid) -> Tensor:
    """`on_grid` with the gradient of the identity, zero where ternary weights are cut."""
    rounded: Tensor = _OnGrid.apply(weight, grid)  # type: ignore[no-untyped-call]
    return rounded


def dynamic_uint8(x: Tensor) -> Tensor:
    """Activations ``(batch, ...)`` as ONNX's ``DynamicQuantizeLinear`` rounds each row.

    256 even steps from the least to the greatest value of a row, zero always among them; the
    gradient is that of the identity.
    """
    rounded: Tensor = _Dynamic.apply(x)  # type: ignore[no-untyped-call]
    return rounded


class _OnGrid(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, grid: Grid) -> Tensor:
        ctx.clips = grid.kind == "ternary"
        if ctx.clips:
            ctx.save_for_backward(weight.abs() <= TERNARY_CLIP)
        return on_grid(weight, grid)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        if ctx.clips:
            gradient = gradient * ctx.saved_tensors[0]
        return gradient, None


class _Dynamic(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        values = x.float()
        others = tuple(range(1, x.ndim))
        low = values.amin(dim=others, keepdim=True).clamp(max=0)
        high = values.amax(dim=others, keepdim=True).clamp(min=0)
        step = (high - low) / 255
        step = torch.where(step == 0, torch.ones_like(step), step)
        zero = (-low / step).round().clamp(0, 255)
        codes = ((values / step).round() + zero).clamp(0, 255)
        return ((codes - zero) * step).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


def _rows(weight: Tensor, grid: Grid) -> Tensor:
    if grid.rows == "matrix":
        return weight.reshape(1, -1)
    return weight.reshape(-1, grid.group) if grid.group else weight.flatten(1)


def _short(scales: Tensor) -> Tensor:
    """Round to few bits; 1 for rows of zeros."""
    mantissa, exponent = torch.frexp(scales)
    short = torch.ldexp((mantissa * 2**SCALE_BITS).round(), exponent - SCALE_BITS)
    return torch.where(scales == 0, torch.ones_like(scales), short)

"""One batch over several processes: each embeds its part, all see the whole."""

from typing import Any

import torch
from torch import Tensor, distributed
from torch.autograd.function import FunctionCtx, once_differentiable

from retrieval.compress.distributed.ranks import rank, world_size
from retrieval.spec.errors import RecipeError


def own_part(count: int) -> slice:
    """Which items of a batch of ``count`` this process embeds.

    Parts are contiguous, together they are the batch, and their sizes differ by one at most.

    Raises:
        RecipeError: There are fewer items than processes.
    """
    if count < world_size():
        raise RecipeError(
            f"{count} items cannot be divided among {world_size()} processes; start fewer"
        )
    return _part(count, rank())


def gathered(own: Tensor, count: int) -> Tensor:
    """The whole batch's rows, of which ``own`` are this process's, in the batch's order.

    The gradient goes to this process's rows alone, times the number of processes. Every
    process computes the loss L of the whole batch; its backward pass gives the part of
    L's gradient that goes through its own rows, and the mean over processes, which is
    what DDP takes, then is ``1/W sum_r W dL/de_r de_r/dw``: the gradient of L. What acts after
    gathering (a temperature, a bridge) has the whole gradient in each process, unscaled,
    and the mean leaves it as it is.

    Args:
        own: ``(rows of own_part(count), dim)``.
        count: Rows of the whole batch.

    Returns:
        ``(count, dim)``.
    """
    if world_size() == 1:
        return own
    whole: Tensor = _Gather.apply(own, count)
    return whole


def _part(count: int, number: int) -> slice:
    each, longer = divmod(count, world_size())
    start = number * each + min(number, longer)
    return slice(start, start + each + (number < longer))


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, own: Tensor, count: int) -> Tensor:
        ctx.part = _part(count, rank())  # type: ignore[attr-defined]
        # Back ends gather equal shapes only: shorter parts are padded, and cut again.
        longest = -(-count // world_size())
        padded = own.new_zeros(longest, *own.shape[1:])
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in range(world_size())]
        distributed.all_gather(parts, padded)
        lengths = [len(range(count)[_part(count, number)]) for number in range(world_size())]
        return torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: FunctionCtx, *gradients: Any) -> tuple[Tensor, None]:
        (gradient,) = gradients
        return gradient[ctx.part] * world_size(), None  # type: ignore[attr-defined]

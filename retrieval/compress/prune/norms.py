"""Batch norm made ready for losing channels."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

import torch
from lightning_fabric.utilities import move_data_to_device
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from retrieval.spec.errors import RecipeError

if TYPE_CHECKING:
    from retrieval.compress.loop.task import Task

_BATCHES = 8


class _Moments:
    """Mean and variance of each channel of what one batch norm is given."""

    def __init__(self) -> None:
        self.sum: Tensor | float = 0.0
        self.squares: Tensor | float = 0.0
        self.count = 0

    def add(self, given: Tensor) -> None:
        """Count a batch in; ``(batch, channels, ...)``."""
        values = given.detach().double().transpose(0, 1).flatten(1)
        self.sum = self.sum + values.sum(dim=1)
        self.squares = self.squares + values.square().sum(dim=1)
        self.count += values.shape[1]

    def mean_and_variance(self) -> tuple[Tensor, Tensor]:
        """Both ``(channels,)``, over everything that was counted in."""
        mean = torch.as_tensor(self.sum) / self.count
        return mean, (torch.as_tensor(self.squares) / self.count - mean.square()).clamp(min=0)


def settle_norms(task: "Task") -> None:
    """Give batch norms the statistics of what they see, changing nothing that they compute.

    A network that was fine-tuned with frozen statistics often lies far from them: the means
    of a MobileNetV2 of ours were off by up to eleven standard deviations. Such a network works
    as long as nobody looks at its batches, and is gone with the first step that does. Here the
    true statistics are stored and the affine part takes up the difference, so that training
    batch norm, which losing channels needs, starts from the same function.

    Raises:
        RecipeError: ``freeze_norm`` would keep the statistics of channels that are gone.
    """
    norms = [
        module
        for tower in task.towers
        for module in getattr(task.model, tower).modules()
        if isinstance(module, _BatchNorm)
    ]
    if not norms:
        return
    if task.settings.freeze_norm:
        raise RecipeError(
            "prune.granularity takes channels out, but training.freeze_norm would keep batch "
            "norm at the statistics from before; set freeze_norm: false"
        )
    training = task.training
    task.eval()
    task.start_epoch(0)
    device = next(task.model.parameters()).device
    with _watched(norms) as moments, torch.no_grad():
        for batch in islice(task.batches(0, 0), _BATCHES):
            task(move_data_to_device(batch, device))
    for norm, seen in zip(norms, moments, strict=True):
        # A norm that the loss does not reach was given nothing.
        if seen.count:
            _restate(norm, *seen.mean_and_variance())
    task.train(training)


@contextmanager
def _watched(norms: list[_BatchNorm]) -> Iterator[list[_Moments]]:
    moments = [_Moments() for _ in norms]

    def watch(seen: _Moments, norm: _BatchNorm) -> torch.utils.hooks.RemovableHandle:
        def count(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            seen.add(given[0])

        return norm.register_forward_pre_hook(count)

    handles = [watch(seen, norm) for seen, norm in zip(moments, norms, strict=True)]
    try:
        yield moments
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def _restate(norm: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    if norm.running_mean is None or norm.running_var is None or not norm.affine:
        return
    stored = (norm.running_var.double() + norm.eps).sqrt()
    true = (variance + norm.eps).sqrt()
    shift = (mean - norm.running_mean.double()) / stored
    norm.bias.add_((norm.weight.double() * shift).to(norm.bias))
    norm.weight.mul_((true / stored).to(norm.weight))
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)

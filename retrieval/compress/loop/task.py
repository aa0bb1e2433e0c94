"""What a stage hands to the training loop: data, losses and a way to judge progress."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import torch
from lightning_fabric.utilities import move_data_to_device
from torch import Tensor, nn

from retrieval.compress.distributed.ranks import average
from retrieval.compress.loop.settings import Training
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.transformer import set_dropout
from retrieval.spec.tower import Tower


class Task(nn.Module):
    """Modules in training and their losses as one unit.

    `forward` takes a batch of `batches` and returns weighted, named losses; the loop adds
    them up. Everything random in `batches` depends on seed and epoch alone. In a run of
    several processes a batch holds the numbers of all its items, and of photos the pixels
    of this process's part alone; losses are those of the whole batch, but for hidden states,
    whose loss is averaged over the processes' parts.
    """

    settings: Training
    model: DualEncoder
    towers: tuple[Tower, ...]
    """The towers that learn, ``image`` and ``text``."""
    steps_per_epoch: int

    @abstractmethod
    def batches(self, epoch: int, first: int) -> Iterator[Any]:
        """Batches of one epoch from number ``first`` on."""

    @abstractmethod
    def forward(self, batch: Any) -> dict[str, Tensor]:
        """Weighted losses by name, scalars."""

    @abstractmethod
    def evaluate(self) -> Mapping[str, Any]:
        """Figures of the present weights on dev; ``score`` is what the best epoch maximises.

        Empty when the recipe has no dev split.
        """

    def start_epoch(self, epoch: int) -> None:
        """Prepare what one epoch needs, such as hard negatives mined with present weights."""

    def judged(self, score: float | None) -> None:
        """`evaluate` gave this score for the present weights; None without a dev split."""

    def gradients(self, count: int) -> Iterator[int]:
        """Leave the gradients of one batch after another, moving no weight.

        What has to know how much each weight matters before training begins looks at
        ``parameter.grad`` after each number that this yields.
        """
        self.eval()
        self.start_epoch(0)
        device = next(self.model.parameters()).device
        for number, batch in enumerate(islice(self.batches(0, 0), count)):
            losses = self(move_data_to_device(batch, device))
            torch.stack(list(losses.values())).sum().backward()
            average(one.grad for one in self.parameters() if one.grad is not None)
            yield number
            self.zero_grad(set_to_none=True)

    def extra_state(self) -> dict[str, Any]:
        """What `start_epoch` made, so that a run resumed in mid-epoch has it again."""
        return {}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `extra_state` gave."""

    def train(self, mode: bool = True) -> "Task":
        """Training mode, except for frozen batch norm."""
        super().train(mode)
        if mode:
            set_dropout(self, self.settings.dropout)
            if self.settings.freeze_norm:
                for module in self.modules():
                    if isinstance(module, nn.modules.batchnorm._BatchNorm):
                        module.eval()
        return self

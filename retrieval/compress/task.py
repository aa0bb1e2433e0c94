"""What a stage hands to the training loop: data, losses and a way to judge progress."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from retrieval.compress.training import Training
from retrieval.models.transformer import set_dropout


class Task(nn.Module):
    """Modules in training and their losses as one unit.

    `forward` takes a batch of `batches` and returns weighted, named losses; the loop adds
    them up. Everything random in `batches` depends on seed and epoch alone.
    """

    settings: Training
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

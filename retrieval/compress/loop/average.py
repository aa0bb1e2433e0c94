"""An exponential moving average of the weights in training."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Averaged copies of the trainable parameters.

    Early on the decay is lowered to ``(1 + n) / (10 + n)`` after n updates, so that the
    random start is forgotten quickly.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._parameters = {n: p for n, p in module.named_parameters() if p.requires_grad}
        self.values = {n: p.detach().clone() for n, p in self._parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Move the averages towards the present weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, parameter in self._parameters.items():
            self.values[name].lerp_(parameter, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The module has averaged weights within this context."""
        present = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}
        self._write(self.values)
        try:
            yield
        finally:
            self._write(present)

    def state_dict(self) -> dict[str, object]:
        """For resuming."""
        return {"updates": self.updates, "values": self.values}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Take back what `state_dict` gave."""
        self.updates = int(state["updates"])  # type: ignore[call-overload]
        for name, value in state["values"].items():  # type: ignore[attr-defined]
            self.values[name].copy_(value)

    @torch.no_grad()
    def _write(self, values: Mapping[str, Tensor]) -> None:
        for name, parameter in self._parameters.items():
            parameter.copy_(values[name])

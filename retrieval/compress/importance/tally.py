"""A running sum of per-step values, by group."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from retrieval.compress.importance.importance import Importance
from retrieval.models.surgery.units import Group
from retrieval.spec.errors import TrainingError


class Tally:
    """Adds values up and knows how many there were."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.count = 0

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Add one step's ``(units,)`` of every group.

        Mixed precision skips steps whose gradients overflow; they do not count here either.
        """
        if not torch.stack([value.isfinite().all() for value in values.values()]).all():
            return
        for name, value in values.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value.clone()
        self.count += 1

    def total(self) -> dict[str, Tensor]:
        """Sum over all steps.

        Raises:
            TrainingError: There was no step.
        """
        if self.count == 0:
            raise unseen()
        return {name: value.clone() for name, value in self.sums.items()}

    def mean(self) -> dict[str, Tensor]:
        """Mean over all steps; raises like `total`."""
        return {name: value / self.count for name, value in self.total().items()}

    def state_dict(self) -> dict[str, Any]:
        """Sums and count."""
        return {"sums": dict(self.sums), "count": self.count}

    def load_state_dict(self, state: Mapping[str, Any], groups: tuple[Group, ...]) -> None:
        """Take back what `state_dict` gave, on the devices of the groups."""
        self.sums = on_devices(state["sums"], groups)
        self.count = state["count"]


class Tallied(Importance):
    """An importance that averages values over steps; a subclass adds them in its hooks.

    Args:
        groups: The units to score.
        normalise: Divide the scores of each group by their L2 norm.
    """

    def __init__(self, groups: Sequence[Group], *, normalise: bool = False) -> None:
        super().__init__(groups)
        self.tally = Tally()
        self.normalise = normalise

    def scores(self) -> dict[str, Tensor]:
        means = self.tally.mean()
        if not self.normalise:
            return means
        return {name: functional.normalize(value, dim=0) for name, value in means.items()}

    def state_dict(self) -> dict[str, Any]:
        return self.tally.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.tally.load_state_dict(state, self.groups)


def on_devices(values: Mapping[str, Tensor], groups: tuple[Group, ...]) -> dict[str, Tensor]:
    """Values by group name, each on the device of its group's parameters."""
    devices = {group.name: group.members[0].parameter.device for group in groups}
    return {name: value.to(devices[name], copy=True) for name, value in values.items()}


def unseen() -> TrainingError:
    """The error when scores are wanted before the first step."""
    return TrainingError(
        "this importance scores units by what it sees in training, and there was no step yet: "
        "start pruning after some steps, or choose the importance magnitude"
    )

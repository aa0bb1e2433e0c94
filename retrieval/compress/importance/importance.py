"""What every criterion of importance is: validated settings, and the scores they start."""

# ruff: noqa: B027
# A hook that a criterion does not override does nothing, on purpose.

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from retrieval.models.surgery.units import Group
from retrieval.spec.base import Spec


class Importance(ABC):
    """Watches training and scores the units of some groups.

    The pruner calls, for every optimiser step, `before_forward`, `losses`, `before_step` and
    `after_step`, in this order, and `scores` whenever it chooses units. Every hook does
    nothing unless a criterion overrides it.

    Args:
        groups: The units to score.
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        self.groups = tuple(groups)

    def before_forward(self) -> None:
        """A step begins."""

    def losses(self) -> dict[str, Tensor]:
        """Weighted penalties of its own by name, scalars; part of this step's loss."""
        return {}

    def before_step(self, rate: float) -> None:
        """Gradients are summed, unscaled and clipped, weights are old.

        Args:
            rate: Learning rate of this step.
        """

    def after_step(self) -> None:
        """Weights are new; gradients are still those that moved them."""

    @abstractmethod
    def scores(self) -> dict[str, Tensor]:
        """By group name, float ``(units,)``; the larger, the more important.

        Raises:
            TrainingError: Nothing has been seen yet that a score could rest on.
        """

    def close(self) -> None:
        """Take every hook off the model."""

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to resume after any step."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a criterion may look at.

    Attributes:
        groups: The units to score.
        model: Holds their parameters.
        keep: Share of all units that shall stay in the end, between 0 and 1.
        total: Optimiser steps in which the model shrinks.
        evaluate: Dev recall of the present weights; None without a dev split.
    """

    groups: Sequence[Group]
    model: nn.Module
    keep: float
    total: int
    evaluate: Callable[[], float] | None = None


class Criterion(Spec, ABC):
    """Settings of one criterion, as a recipe writes them.

    A subclass adds ``criterion: Literal["its name"]`` and its options, and is listed in
    `retrieval.compress.importance.registry`.
    """

    @abstractmethod
    def start(self, context: Context) -> Importance:
        """Begin to watch.

        Raises:
            RecipeError: The criterion cannot score such groups, or needs what is not there.
        """

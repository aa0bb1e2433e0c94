"""What changes a model while a task trains it: pruning, quantising, nested widths."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

if TYPE_CHECKING:
    from retrieval.compress.loop.task import Task


class Modifier:
    """Base of all modifiers; every call does nothing unless a modifier overrides it.

    The loop calls `start` once before the optimiser exists; then for every optimiser step
    `before_forward`, `losses`, `before_step` (gradients are summed, unscaled and clipped,
    weights are old) and `after_step` (weights are new, gradients still there); `evaluating`
    around every evaluation and `judged` after it; `finish` once, when the best weights are
    loaded. A modifier that changes which parameters exist does so in `start` or `finish`.
    """

    name: ClassVar[str]
    """Its entry in a stage of a recipe, and in ``metrics.json``."""

    def start(self, task: "Task", total: int) -> None:
        """Prepare the task's model for ``total`` optimiser steps; may replace its towers."""

    def before_forward(self, step: int) -> None:
        """A step begins, ``step`` counts from 0."""

    def losses(self, step: int) -> dict[str, Tensor]:
        """Weighted penalties of its own, by name; scalars."""
        return {}

    def before_step(self, step: int, rate: float) -> None:
        """Gradients are complete; ``rate`` is the learning rate of this step."""

    def after_step(self, step: int) -> None:
        """Weights have moved; gradients are those that moved them."""

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The model is evaluated within, as it would be shipped now."""
        yield

    def judged(self, score: float | None) -> None:
        """Dev figures of the present weights are known; None without a dev split."""

    @property
    def settled(self) -> bool:
        """Whether present weights meet the target, so that they may be kept as the best."""
        return True

    def finish(self, task: "Task") -> Mapping[str, Any]:
        """Make the change permanent in the task's model.

        Returns:
            Figures for ``metrics.json``: what was asked for and what was reached.
        """
        return {}

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to resume after any step."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""

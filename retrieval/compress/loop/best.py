"""The best weights of a stage so far."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from retrieval.compress.loop.modifier import Modifier
from retrieval.compress.loop.task import Task


class Best:
    """Keeps a copy of a task's weights whenever they are the best that may be kept.

    Without a dev split every epoch counts as the best so far: the last one is kept. Until
    modifiers have settled it is the same with dev figures, since these fall on the way.
    """

    def __init__(self) -> None:
        self.score: float | None = None
        self.settled = False
        self.figures: Mapping[str, Any] = {}
        self.evaluations_without_gain = 0
        self._weights: dict[str, Any] = {}
        self._modifiers: list[dict[str, Any]] = []

    def offer(self, task: Task, modifiers: Sequence[Modifier], figures: Mapping[str, Any]) -> None:
        """Keep the present weights if none before were better.

        Args:
            task: As it was evaluated.
            modifiers: Their state is kept with the weights.
            figures: Of the evaluation; ``score`` is compared.
        """
        settled = all(modifier.settled for modifier in modifiers)
        if self.settled and not settled:
            return
        score: float | None = figures.get("score")
        no_worse = score is None or self.score is None or score > self.score
        if settled and self.settled and not no_worse:
            self.evaluations_without_gain += 1
            return
        self.score, self.settled, self.figures = score, settled, dict(figures)
        self.evaluations_without_gain = 0
        self._weights = copy.deepcopy(task.state_dict())
        self._modifiers = [copy.deepcopy(one.state_dict()) for one in modifiers]

    def restore(self, task: Task, modifiers: Sequence[Modifier]) -> None:
        """Give the task and its modifiers back what was kept."""
        task.load_state_dict(self._weights)
        for modifier, state in zip(modifiers, self._modifiers, strict=True):
            modifier.load_state_dict(state)

    def state_dict(self) -> dict[str, Any]:
        """For resuming."""
        return dict(vars(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        vars(self).update(state)

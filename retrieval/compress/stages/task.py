"""What the tasks of all stages have in common."""

from collections.abc import Callable, Mapping
from typing import Any

from retrieval.compress.loop.task import Task
from retrieval.compress.stages.settings import Trained
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.tower import TOWERS


class StageTask(Task):
    """A stage of a recipe with the student that it trains.

    Args:
        stage: Losses and settings.
        model: The student; only the stage's towers are trained.
        judge: Gives dev figures of the present weights.
    """

    def __init__(
        self,
        stage: Trained,
        model: DualEncoder,
        judge: Callable[[], Mapping[str, Any]],
    ) -> None:
        super().__init__()
        self.settings = stage.training
        self.losses = stage.losses
        self.towers = stage.towers
        self.judge = judge
        self.model = model
        for tower in TOWERS:
            getattr(model, tower).requires_grad_(tower in stage.towers)

    def evaluate(self) -> Mapping[str, Any]:
        return self.judge()

"""Movement: weights that training moves away from zero stay."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from retrieval.compress.importance.gradients import Weights, summed
from retrieval.compress.importance.importance import Context, Criterion
from retrieval.compress.importance.tally import Tallied
from retrieval.models.surgery.units import Group


class Movement(Criterion):
    """``-sum over steps of weight * gradient``, signed, summed over the unit.

    Sanh et al., NeurIPS 2020: positive where descent made a weight larger.
    """

    criterion: Literal["movement"] = "movement"
    weights: Weights = "silencers"

    def start(self, context: Context) -> "MovementImportance":
        return MovementImportance(context.groups, self)


class MovementImportance(Tallied):
    """Sums over all steps; a score may be negative."""

    def __init__(self, groups: Sequence[Group], settings: Movement) -> None:
        super().__init__(groups)
        self.settings = settings

    def before_step(self, rate: float) -> None:
        self.tally.add(
            {
                group.name: summed(group, self.settings.weights, lambda w, g: -w * g)
                for group in self.groups
            }
        )

    def scores(self) -> dict[str, Tensor]:
        return self.tally.total()

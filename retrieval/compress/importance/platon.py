"""PLATON: smoothed sensitivity times its uncertainty."""

from collections.abc import Sequence
from typing import Literal

from retrieval.compress.importance.gradients import Weights, summed
from retrieval.compress.importance.importance import Context
from retrieval.compress.importance.smoothing import Smoothed, SmoothedCriterion
from retrieval.models.surgery.units import Group


class Platon(SmoothedCriterion):
    """Zhang et al., ICML 2022: `Smoothing` of ``|weight * gradient|``, summed over the unit."""

    criterion: Literal["platon"] = "platon"
    weights: Weights = "silencers"

    def start(self, context: Context) -> "PlatonImportance":
        return PlatonImportance(context.groups, self)


class PlatonImportance(Smoothed):
    """Scores after the step: new weights with the gradients that moved them."""

    def __init__(self, groups: Sequence[Group], settings: Platon) -> None:
        super().__init__(groups, settings)
        self.weights = settings.weights

    def after_step(self) -> None:
        self.smoothing.add(
            {
                group.name: summed(group, self.weights, lambda w, g: w * g).abs()
                for group in self.groups
            }
        )

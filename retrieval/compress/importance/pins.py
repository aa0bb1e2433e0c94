"""PINS: which weights the next step should keep."""

from collections.abc import Sequence
from typing import Literal

from retrieval.compress.importance.gradients import Weights, summed
from retrieval.compress.importance.importance import Context
from retrieval.compress.importance.smoothing import Beta2, Smoothed, SmoothedCriterion
from retrieval.models.surgery.units import Group


class Pins(SmoothedCriterion):
    """Ren and Zhu, Findings of ACL 2023: smoothed ``|rate * gradient^2 - gradient * weight|``.

    It is the first-order change of the loss when a weight is zeroed after the step instead of
    before; at rate zero it is PLATON's sensitivity.
    """

    criterion: Literal["pins"] = "pins"
    beta2: Beta2 = 0.99
    weights: Weights = "silencers"

    def start(self, context: Context) -> "PinsImportance":
        return PinsImportance(context.groups, self)


class PinsImportance(Smoothed):
    """Scores before the step: clipped gradients, old weights, this step's learning rate."""

    def __init__(self, groups: Sequence[Group], settings: Pins) -> None:
        super().__init__(groups, settings)
        self.weights = settings.weights

    def before_step(self, rate: float) -> None:
        self.smoothing.add(
            {
                group.name: summed(
                    group, self.weights, lambda w, g: rate * g.square() - g * w
                ).abs()
                for group in self.groups
            }
        )

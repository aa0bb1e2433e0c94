"""First-order Taylor: how much the loss would change without the unit."""

from collections.abc import Sequence
from typing import Literal

from retrieval.compress.importance.gradients import Weights, summed
from retrieval.compress.importance.importance import Context, Criterion
from retrieval.compress.importance.tally import Tallied
from retrieval.models.surgery.units import Group


class Taylor(Criterion):
    """``|sum over the unit of weight * gradient|``, averaged over steps.

    Molchanov et al., ICLR 2017, equation 8; Michel et al., NeurIPS 2019. With ``silencers``
    it is the absolute derivative of a batch's loss by a gate on the unit.
    """

    criterion: Literal["taylor"] = "taylor"
    weights: Weights = "silencers"

    def start(self, context: Context) -> "TaylorImportance":
        return TaylorImportance(context.groups, self)


class TaylorImportance(Tallied):
    """Mean over steps; products are summed within a unit before they lose their sign."""

    def __init__(self, groups: Sequence[Group], settings: Taylor) -> None:
        super().__init__(groups)
        self.settings = settings

    def before_step(self, rate: float) -> None:
        self.tally.add(
            {
                group.name: summed(group, self.settings.weights, lambda w, g: w * g).abs()
                for group in self.groups
            }
        )

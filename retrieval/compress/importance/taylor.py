"""First-order Taylor: how much the loss would change without the unit."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import model_validator

from retrieval.compress.importance.gradients import Weights, summed
from retrieval.compress.importance.importance import Context, Criterion, Importance
from retrieval.compress.importance.samples import SampleImportance, gate_sites
from retrieval.compress.importance.tally import Tallied
from retrieval.models.surgery.units import Group


class Taylor(Criterion):
    """``|sum over the unit of weight * gradient|``, averaged over steps.

    Molchanov et al., ICLR 2017; Michel et al., NeurIPS 2019. With ``silencers``
    it is the absolute derivative of the loss by a gate on the unit.
    """

    criterion: Literal["taylor"] = "taylor"
    weights: Weights = "silencers"
    per: Literal["batch", "sample"] = "batch"
    """``sample`` makes every sample's derivative by the gate absolute before they are added,
    so that samples do not cancel; units need gates for that."""
    normalise: bool = False
    """Divide the scores of each group by their L2 norm, so that groups compare (CAP, Xu et
    al., AAAI 2022)."""

    @model_validator(mode="after")
    def _samples_have_gates_only(self) -> Self:
        if self.per == "sample" and self.weights == "all":
            raise ValueError("per: sample looks at gates; leave weights: all out")
        return self

    def start(self, context: Context) -> Importance:
        if self.per == "batch":
            return TaylorImportance(context.groups, self)
        sites = {group.name: gate_sites(group, "taylor") for group in context.groups}
        return SampleImportance(context.groups, sites, normalise=self.normalise)


class TaylorImportance(Tallied):
    """Mean over steps; products are summed within a unit before they lose their sign."""

    def __init__(self, groups: Sequence[Group], settings: Taylor) -> None:
        super().__init__(groups, normalise=settings.normalise)
        self.weights = settings.weights

    def before_step(self, rate: float) -> None:
        self.tally.add(
            {
                group.name: summed(group, self.weights, lambda w, g: w * g).abs()
                for group in self.groups
            }
        )

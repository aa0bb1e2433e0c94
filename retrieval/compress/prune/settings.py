"""What a recipe says of pruning."""

from collections.abc import Sequence
from typing import Annotated, Any, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from retrieval.compress.importance.magnitude import Magnitude
from retrieval.compress.importance.registry import AnyCriterion
from retrieval.compress.prune.budget import Budget
from retrieval.compress.prune.schedule import Cubic, Schedule
from retrieval.compress.prune.select import Normalise, Scope
from retrieval.models.surgery.units import Granularity
from retrieval.spec.base import Spec
from retrieval.spec.errors import RecipeError
from retrieval.spec.tower import Tower


def _listed(value: Any) -> Any:
    """``granularity: head`` stands for ``[head]``."""
    return [value] if isinstance(value, str) else value


def _named(value: Any) -> Any:
    """``schedule: one_shot`` stands for a schedule of that kind with its defaults."""
    return {"kind": value} if isinstance(value, str) else value


class Prune(Spec):
    """Units go while the stage trains, by their importance, until a budget is met.

    Heads, neurons, channels, layers and hidden dimensions are taken out: the stage's result
    is a smaller dense model. Single weights become zeros, which saves bytes in a sparse
    checkpoint and no time.

    Example:
        ``prune: {granularity: [head, neuron], importance: platon, budget: {sparsity: 0.6}}``
    """

    granularity: Annotated[
        tuple[Granularity, ...], Field(min_length=1), BeforeValidator(_listed)
    ] = ("head", "neuron")
    """One or several kinds of units; kinds that a tower does not have are left out there."""
    towers: Annotated[tuple[Tower, ...], Field(min_length=1), BeforeValidator(_listed)] | None = (
        None
    )
    """Which towers lose units; by default the one that the budget names, or else those that
    the stage trains."""
    importance: AnyCriterion = Magnitude()
    schedule: Annotated[Schedule, BeforeValidator(_named)] = Cubic()
    scope: Scope = "global"
    """``global``: all units compete; ``layer``: each layer loses the same share."""
    normalise: Normalise | None = None
    """What makes scores of different groups comparable; by default ``group`` (divided by the
    root mean square of their group) for units and ``none`` for single weights."""
    budget: Budget

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        kinds = self.granularity
        for name, values in (("granularity", kinds), ("towers", self.towers or ())):
            if len(set(values)) < len(values):
                raise ValueError(f"{name} names something twice")
        for alone in ("weight", "hidden"):
            if alone in kinds and len(kinds) > 1:
                raise ValueError(f"granularity {alone} cannot be mixed; give it a stage of its own")
        if "hidden" in kinds and not (self.schedule.kind == "one_shot" and self.schedule.at == 0):
            raise ValueError(
                "granularity hidden is cut before the first step, since a layer norm counts "
                "silenced dimensions too; set schedule to one_shot with at: 0"
            )
        if "weight" in kinds and self.budget.kind != "sparsity":
            raise ValueError(
                f"granularity weight makes zeros, which cost as many {self.budget.kind} as "
                "before; set budget.sparsity, or choose units such as head and neuron"
            )
        return self

    @model_validator(mode="after")
    def _one_tower_for_its_budget(self) -> Self:
        tower = self.budget.tower
        if tower is not None and self.towers not in (None, (tower,)):
            raise ValueError(
                f"budget limits the {tower} tower alone, so nothing says how far others shall "
                "be pruned; leave towers out or give the other its own stage"
            )
        return self

    @property
    def structured(self) -> bool:
        """Whether units are taken out, rather than weights zeroed."""
        return "weight" not in self.granularity

    @property
    def comparable(self) -> Normalise:
        """`normalise`, or its default."""
        return self.normalise or ("group" if self.structured else "none")

    def towers_of(self, trained: Sequence[str]) -> tuple[Tower, ...]:
        """The towers that lose units in a stage that trains ``trained``.

        Raises:
            RecipeError: A tower that is to be pruned is not trained.
        """
        limited = (self.budget.tower,) if self.budget.tower is not None else None
        wanted = self.towers or limited
        for tower in wanted or ():
            if tower not in trained:
                entry = "prune.towers" if self.towers else "prune.budget.tower"
                raise RecipeError(
                    f"{entry} names {tower}, which the stage does not train; leave it out"
                )
        return wanted or tuple(tower for tower in get_args(Tower) if tower in trained)

    def budget_of(self, towers: tuple[Tower, ...]) -> Budget:
        """The budget, completed by the tower whose milliseconds count.

        Args:
            towers: Those that are pruned.

        Raises:
            RecipeError: It was left open where it could be either.
        """
        budget = self.budget
        if budget.kind != "ms" or budget.tower is not None:
            return budget
        if len(towers) > 1:
            raise RecipeError("prune.budget.ms is of one tower; name it in prune.budget.tower")
        return budget.model_copy(update={"tower": towers[0]})

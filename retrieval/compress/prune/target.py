"""From scores to a selection that is as far on the way to the budget as is due."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from retrieval.compress.distributed.ranks import from_first
from retrieval.compress.prune.budget import Budget, fit, require_sparsity
from retrieval.compress.prune.ledger import Ledger
from retrieval.compress.prune.meter import Meter
from retrieval.compress.prune.select import Keep, Ranking, indices, keep_weights, rank
from retrieval.compress.prune.settings import Prune
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.dual_encoder import DualEncoder, parameter_count
from retrieval.models.surgery.shrink import shrink
from retrieval.models.surgery.units import Group

# Products such as 1000 * (1 - 0.6) fall a hair short of the whole number that is meant.
_SLACK = 1e-6


class Target(ABC):
    """Knows how far to go.

    Attributes:
        share: Of the prunable weights that stay in the end; of a measured budget an estimate
            until the first choice.
        fixed_at_end: Whether the last selection must not change, since its size or speed is
            what was asked for.
    """

    share: float
    fixed_at_end = False

    @abstractmethod
    def select(self, scores: Mapping[str, Tensor], remaining: float) -> Keep:
        """Choose the units that stay.

        Args:
            scores: For each group by name, ``(units,)``.
            remaining: Share of the whole cut that is still to come, between 0 and 1.

        Raises:
            TrainingError: A score is not finite.
        """

    @abstractmethod
    def reached(self, keep: Mapping[str, Tensor]) -> dict[str, float]:
        """Figures of a selection: its sparsity and what the budget limits."""


class WeightTarget(Target):
    """A share of all single weights goes.

    Raises:
        RecipeError: So few would be left that a matrix would be empty.
    """

    def __init__(self, settings: Prune, groups: Sequence[Group], sparsity: float) -> None:
        self._groups = groups
        self._scope = settings.scope
        self._total = sum(group.units for group in groups)
        require_sparsity(sparsity, 1 - sum(group.least for group in groups) / self._total)
        self.share = 1 - sparsity

    def select(self, scores: Mapping[str, Tensor], remaining: float) -> Keep:
        share = 1 - (1 - self.share) * (1 - remaining)
        return keep_weights(self._groups, scores, share, scope=self._scope)

    def reached(self, keep: Mapping[str, Tensor]) -> dict[str, float]:
        left = sum(int(mask.sum()) for mask in keep.values())
        return {"sparsity": 1 - left / self._total, "nonzero": left}


class UnitTarget(Target):
    """A share of the weights of all units goes.

    Raises:
        RecipeError: So few would be left that a layer would be empty.
    """

    def __init__(self, settings: Prune, groups: Sequence[Group], sparsity: float) -> None:
        self._settings = settings
        self._groups = groups
        self._ledger = Ledger(groups)
        neutral = self._evenly()
        least = self._ledger.surviving(neutral.keep(len(neutral.order)))
        require_sparsity(sparsity, 1 - least / self._ledger.total)
        self.share = 1 - sparsity

    def select(self, scores: Mapping[str, Tensor], remaining: float) -> Keep:
        return self._on_the_way(self._ranked(scores), remaining)

    def reached(self, keep: Mapping[str, Tensor]) -> dict[str, float]:
        return {"sparsity": 1 - self._ledger.surviving(keep) / self._ledger.total}

    def _on_the_way(self, ranking: Ranking, remaining: float) -> Keep:
        share = 1 - (1 - self.share) * (1 - remaining)
        return fit(ranking, self._ledger.surviving, self._ledger.total * share + _SLACK)

    def _ranked(self, scores: Mapping[str, Tensor]) -> Ranking:
        scope, normalise = self._settings.scope, self._settings.comparable
        return rank(self._groups, scores, scope=scope, normalise=normalise)

    def _evenly(self) -> Ranking:
        """A ranking before there are scores: every group loses the same share."""
        nothing = {group.name: torch.zeros(group.units) for group in self._groups}
        return rank(self._groups, nothing, scope="layer")


@dataclass(frozen=True)
class Scale:
    """Weighs what a selection leaves.

    Attributes:
        budget: What is limited.
        model: From which units go.
        tokenizer: Makes the sentence that is timed.
        meter: Measures milliseconds.
    """

    budget: Budget
    model: DualEncoder
    tokenizer: Tokenizer
    meter: Meter

    @property
    def part(self) -> nn.Module:
        """What parameters and bytes are of: the model or one tower."""
        return self.budget.part_of(self.model)

    def __call__(self, keep: Mapping[str, Tensor]) -> float:
        """Parameters, bytes or milliseconds of the model without the units that go."""
        smaller = shrink(self.model, indices(keep))
        budget = self.budget
        if budget.kind != "ms":
            return budget.count(smaller)
        if budget.tower is None:
            raise ValueError("milliseconds are of one tower")
        measure = partial(self.meter.milliseconds, smaller, self.tokenizer, budget.tower)
        # No two processes decide on measurements of their own.
        return from_first(measure)


class MeasuredTarget(UnitTarget):
    """Units go until the smaller model has the parameters, bytes or speed that are wanted.

    How much must go is found with the scores of the first choice, since the schedule needs
    an end to run to, and found again with those of the last.

    Raises:
        RecipeError: The smallest model that the groups allow is beyond the budget.
    """

    fixed_at_end = True

    def __init__(self, settings: Prune, groups: Sequence[Group], scale: Scale) -> None:
        super().__init__(settings, groups, sparsity=0.0)
        self._scale = scale
        self._known = False
        tower = scale.budget.tower
        self._limited = Ledger([one for one in groups if one.name.startswith(tower or "")])
        self._whole = parameter_count(scale.part)
        self.share = self._share_of(self._resolve(self._evenly()))

    def select(self, scores: Mapping[str, Tensor], remaining: float) -> Keep:
        ranking = self._ranked(scores)
        if remaining == 0:
            return self._resolve(ranking)
        if not self._known:
            self.share = self._share_of(self._resolve(ranking))
            self._known = True
        return self._on_the_way(ranking, remaining)

    def reached(self, keep: Mapping[str, Tensor]) -> dict[str, float]:
        return {**super().reached(keep), self._scale.budget.kind: self._scale(keep)}

    def state_dict(self) -> dict[str, Any]:
        """The share, once it is known."""
        return {"share": self.share, "known": self._known}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.share, self._known = state["share"], state["known"]

    def _resolve(self, ranking: Ranking) -> Keep:
        budget = self._scale.budget
        figure = self._parameters if budget.kind == "parameters" else self._scale
        return fit(ranking, figure, budget.limit, what=f"prune.budget.{budget.kind}")

    def _parameters(self, keep: Keep) -> int:
        """What `Scale` would count, without making each model on the way."""
        return self._whole - self._limited.total + self._limited.surviving(keep)

    def _share_of(self, keep: Keep) -> float:
        return self._ledger.surviving(keep) / self._ledger.total


def make_target(settings: Prune, groups: Sequence[Group], scale: Scale) -> Target:
    """The target that settings ask for.

    Args:
        settings: Of pruning.
        groups: What can go.
        scale: Weighs a selection where the budget is not a sparsity.

    Raises:
        RecipeError: The budget cannot be reached; the message says what can.
    """
    sparsity = scale.budget.sparsity
    if sparsity is None:
        return MeasuredTarget(settings, groups, scale)
    kind = UnitTarget if settings.structured else WeightTarget
    return kind(settings, groups, sparsity)

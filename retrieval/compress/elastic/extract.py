"""Cutting a model of a wanted size or speed out of one checkpoint."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from retrieval.compress.elastic.nesting import NESTED, Nesting, keep_of, nested_groups, side_of
from retrieval.compress.elastic.order import reorder, spread_order
from retrieval.compress.elastic.tiers import WHOLE, Tier, tier_at
from retrieval.compress.importance.importance import Context
from retrieval.compress.importance.magnitude import Magnitude
from retrieval.compress.prune.budget import Budget, readable
from retrieval.compress.prune.meter import Meter
from retrieval.compress.prune.select import Keep, indices
from retrieval.compress.prune.target import Scale
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.surgery.shrink import shrink
from retrieval.models.surgery.units import Group
from retrieval.spec.errors import CheckpointError, RecipeError, SurgeryError
from retrieval.spec.tower import Tower

_STEPS = 64
"""Sizes that are told apart between the whole and the smallest tier, and again below it."""

_UNTRAINED_TIERS = (Tier(width=0.25),)


@dataclass(frozen=True, eq=False)
class Ordered:
    """A model whose units are in the order in which they stay.

    Attributes:
        model: A copy whose heads, neurons and channels are sorted, or an elastic one as it is.
        groups: Its units, of the towers that can be cut.
        layers: For each of these towers, its layers, the last to go first.
        tiers: The sizes that it was trained for, or a line through sizes for any model.
        trained: Whether smaller sizes were trained.
    """

    model: DualEncoder
    groups: tuple[Group, ...]
    layers: Mapping[Tower, Sequence[int]]
    tiers: tuple[Tier, ...]
    trained: bool

    @property
    def towers(self) -> tuple[Tower, ...]:
        """The towers that can be cut."""
        return tuple(dict.fromkeys(map(side_of, self.groups)))

    def keep(self, sizes: Mapping[Tower, Tier]) -> Keep:
        """The units that stay at the given sizes; other towers stay whole."""
        return {
            name: mask
            for group in self.groups
            for name, mask in keep_of(
                [group], self.layers, sizes.get(side_of(group), WHOLE)
            ).items()
        }


@dataclass(frozen=True, eq=False)
class Cut:
    """A smaller model.

    Attributes:
        model: New, described by a configuration of its own.
        sizes: Of each tower that was cut.
        figure: What the budget limits, reached.
    """

    model: DualEncoder
    sizes: dict[Tower, Tier]
    figure: float


def ordered(
    model: DualEncoder, nesting: Nesting | None, towers: Sequence[Tower] | None = None
) -> Ordered:
    """Prepare a model to be cut.

    Args:
        model: Not changed.
        nesting: How it was trained to be cut; None: by the magnitude of its weights, with
            layers that stay whole.
        towers: Which to cut; by default all that can be, or that were trained for it.

    Raises:
        SurgeryError: Such a tower has nothing that could be cut.
        CheckpointError: The nesting is of another model.
    """
    if nesting is not None and (towers is None or set(towers) <= set(nesting.layers)):
        sides = [side for side in nesting.layers if towers is None or side in towers]
        groups = nested_groups(model, nesting.granularity, sides)
        _require_fitting(groups, nesting)
        return Ordered(model, tuple(groups), nesting.layers, nesting.tiers, trained=True)
    sorted_model = copy.deepcopy(model)
    groups = nested_groups(sorted_model, NESTED, towers or ("image", "text"))
    widths = [group for group in groups if group.granularity != "layer"]
    context = Context(groups=widths, model=sorted_model, keep=0.5, total=1)
    reorder(sorted_model, widths, Magnitude().start(context).scores())
    layers: dict[Tower, Sequence[int]] = {
        side_of(group): spread_order(group.units)
        for group in groups
        if group.granularity == "layer"
    }
    return Ordered(sorted_model, tuple(groups), layers, _UNTRAINED_TIERS, trained=False)


def extract(
    source: Ordered,
    budget: Budget,
    tokenizer: Tokenizer,
    meter: Meter,
    *,
    progress: Callable[[int], None] = lambda tried: None,
) -> Cut:
    """The largest size that meets a budget, by bisection along the line of tiers.

    Args:
        source: What is cut.
        budget: Parameters, bytes or milliseconds. Milliseconds are of one input of each
            tower, and each is cut on its own; parameters and bytes without a tower are of
            the whole model, whose towers are all cut to the same size.
        tokenizer: Makes the sentence that is timed.
        meter: Measures milliseconds.
        progress: Told how many sizes have been tried.

    Raises:
        RecipeError: The smallest size is still beyond the budget.
        SurgeryError: The budget is of a tower that cannot be cut.
    """
    if budget.kind == "sparsity":
        raise RecipeError("a model is cut to parameters, bytes or milliseconds, not a sparsity")
    parts: list[tuple[Budget, tuple[Tower, ...]]] = [(budget, source.towers)]
    if budget.tower is not None:
        parts = [(budget, (budget.tower,))]
    elif budget.kind == "ms":
        parts = [(budget.model_copy(update={"tower": one}), (one,)) for one in source.towers]
    if missing := {side for _, sides in parts for side in sides} - set(source.towers):
        raise SurgeryError(f"the {missing.pop()} tower has nothing that could be cut")
    sizes: dict[Tower, Tier] = {}
    tried = 0
    figures = []
    for part, sides in parts:
        scale = Scale(part, source.model, tokenizer, meter)

        def figure(step: int, scale: Scale = scale, sides: tuple[Tower, ...] = sides) -> float:
            nonlocal tried
            tried += 1
            progress(tried)
            return scale(source.keep(_sizes(source, sides, step)))

        step, reached = _first_within(figure, part)
        sizes |= _sizes(source, sides, step)
        figures.append(reached)
    return Cut(shrink(source.model, indices(source.keep(sizes))), sizes, max(figures))


def _sizes(source: Ordered, sides: Sequence[Tower], step: int) -> dict[Tower, Tier]:
    return dict.fromkeys(sides, tier_at(source.tiers, step / _STEPS))


def _first_within(figure: Callable[[int], float], budget: Budget) -> tuple[int, float]:
    """The first step whose figure meets the budget, and that figure."""
    found = figure(0)
    if found <= budget.limit:
        return 0, found
    outside, inside = 0, 2 * _STEPS
    reached = figure(inside)
    if reached > budget.limit:
        of = "the model" if budget.tower is None else f"the {budget.tower} tower"
        raise RecipeError(
            f"{budget.kind} of {readable(budget.limit)} cannot be reached: cut as far as it can "
            f"be, {of} still has {readable(reached)}; raise the limit or start from a smaller "
            "checkpoint"
        )
    while inside - outside > 1:
        middle = (inside + outside) // 2
        found = figure(middle)
        if found <= budget.limit:
            inside, reached = middle, found
        else:
            outside = middle
    return inside, reached


def _require_fitting(groups: Sequence[Group], nesting: Nesting) -> None:
    for group in groups:
        order = nesting.layers[side_of(group)]
        if group.granularity == "layer" and sorted(order) != list(range(group.units)):
            raise CheckpointError(
                f"metrics.json speaks of {len(order)} layers of the {side_of(group)} tower, which "
                f"has {group.units}; it belongs to another checkpoint"
            )

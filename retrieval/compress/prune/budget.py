"""What pruning shall reach: a share of the weights, or a size or speed of the result."""

import math
from collections.abc import Callable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from torch import nn

from retrieval.compress.prune.quantities import Bytes, Count
from retrieval.compress.prune.select import Keep, Ranking
from retrieval.models.dual_encoder import DualEncoder, parameter_count
from retrieval.spec.base import Spec
from retrieval.spec.defaults import HOST
from retrieval.spec.errors import RecipeError
from retrieval.spec.tower import Tower

Kind = Literal["sparsity", "parameters", "bytes", "ms"]
Stored = Literal["fp32", "fp16", "int8"]

KINDS: tuple[Kind, ...] = ("sparsity", "parameters", "bytes", "ms")


class Budget(Spec):
    """One limit, such as ``{sparsity: 0.6}``, ``{parameters: 5M}`` or ``{ms: 2, tower: text}``."""

    sparsity: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share of the prunable weights that go. Prunable are the weights that belong to any unit
    of the chosen granularity and towers; a weight that several units share counts once, and
    is gone when one of them is. Embeddings and projections, which belong to no head, neuron
    or channel, do not count."""
    parameters: Count | None = None
    """Most parameters of the whole model, or of ``tower``; 5M and 5_000_000 are the same."""
    bytes: Bytes | None = None
    """Most bytes of the weights of the whole model, or of ``tower``, stored as ``stored_as``;
    10MB is 10,000,000, 10MiB is 10,485,760."""
    ms: Annotated[float, Field(gt=0)] | None = None
    """Most milliseconds that ``tower`` takes for one input on ``target``, measured."""
    tower: Tower | None = None
    """What parameters, bytes or ms are of."""
    stored_as: Stored = "fp32"
    """For bytes. int8: a byte for each weight of a matrix and four for the scale of each of
    its rows; vectors and statistics stay fp32."""
    target: str = HOST
    """For ms: where it is measured."""

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"needs one of {', '.join(KINDS)}, not {found}")
        if self.kind == "sparsity" and self.tower is not None:
            raise ValueError("sparsity is of all towers that are pruned; leave tower out")
        for entry, kind in (("stored_as", "bytes"), ("target", "ms")):
            default = type(self).model_fields[entry].default
            if getattr(self, entry) != default and self.kind != kind:
                raise ValueError(f"{entry} belongs to {kind}; leave it out with {self.kind}")
        return self

    @property
    def kind(self) -> Kind:
        """Which limit is given."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def limit(self) -> float:
        """The limit itself: a share, a count, bytes or milliseconds."""
        return float(getattr(self, self.kind))

    def part_of(self, model: DualEncoder) -> nn.Module:
        """The tower that is limited, or the whole model."""
        return model if self.tower is None else getattr(model, self.tower)

    def count(self, model: DualEncoder) -> float:
        """The model's parameters or bytes, whichever is limited."""
        part = self.part_of(model)
        if self.kind == "bytes":
            return stored_bytes(part, self.stored_as)
        return parameter_count(part)


def stored_bytes(module: nn.Module, stored_as: Stored) -> int:
    """Bytes of weights and statistics, without the header of a file.

    Args:
        module: Its parameters and the buffers that a checkpoint holds.
        stored_as: As `Budget.stored_as`.
    """
    matrices = {name for name, one in module.named_parameters() if one.ndim > 1}
    size = 0
    for name, one in module.state_dict().items():
        if not one.is_floating_point():
            size += one.numel() * one.element_size()
        elif stored_as == "int8" and name in matrices:
            size += one.numel() + 4 * one.shape[0]
        else:
            size += one.numel() * (2 if stored_as == "fp16" else 4)
    return size


def fit(
    ranking: Ranking, figure: Callable[[Keep], float], limit: float, *, what: str = "the budget"
) -> Keep:
    """The largest selection whose figure is within a limit, by bisection over the ranking.

    Args:
        ranking: Says which units go first.
        figure: Of a selection; does not rise when more units go.
        limit: Largest figure that is allowed.
        what: Names limit and figure in the error.

    Raises:
        RecipeError: Even the smallest selection is beyond the limit.
    """
    everything = ranking.keep(0)
    if figure(everything) <= limit:
        return everything
    enough = len(ranking.order)
    smallest = figure(ranking.keep(enough))
    if smallest > limit:
        raise RecipeError(
            f"{what} of {readable(limit)} cannot be reached: pruned as far as the "
            f"granularity allows it is still {readable(smallest)}; raise the limit, prune more "
            "kinds of units, or start from a smaller student"
        )
    too_few = 0
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        if figure(ranking.keep(middle)) <= limit:
            enough = middle
        else:
            too_few = middle
    return ranking.keep(enough)


def require_sparsity(sparsity: float, largest: float) -> None:
    """Refuse a sparsity that would leave a group without its fewest units.

    Raises:
        RecipeError: ``sparsity`` is more than ``largest``.
    """
    if sparsity > largest:
        # Rounded down, so that what the message offers can be reached.
        offered = math.floor(largest * 1000) / 1000
        raise RecipeError(
            f"prune.budget.sparsity is {sparsity}, which would leave a layer empty: at most "
            f"{offered} of the prunable weights can go; lower it or prune more kinds of units"
        )


def readable(value: float) -> str:
    """A count, bytes or milliseconds with separators and without needless digits."""
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.4g}"

"""Sizes that one model can be cut to, and the line that leads through them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from retrieval.spec.base import Spec

Share = Annotated[float, Field(gt=0, le=1)]


class Tier(Spec):
    """A size of a tower, relative to the whole; a number alone is a width.

    Example:
        ``0.5``, ``{width: 0.5, depth: 0.75}``
    """

    width: Share = 1.0
    """Share of the heads, neurons and channels of every layer."""
    depth: Share = 1.0
    """Share of the layers; without effect on towers whose layers cannot go."""

    @model_validator(mode="before")
    @classmethod
    def _width_alone(cls, value: Any) -> Any:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return {"width": value} if is_number else value


WHOLE = Tier()


def _shrinking(tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
    for larger, smaller in pairwise((WHOLE, *tiers)):
        grows = smaller.width > larger.width or smaller.depth > larger.depth
        if grows or (smaller == larger and larger != WHOLE):
            raise ValueError(
                "each tier must be a smaller part of the one before: list them from large to "
                "small, with neither width nor depth rising"
            )
    return tiers


Tiers = Annotated[tuple[Tier, ...], Field(min_length=1), AfterValidator(_shrinking)]
"""From large to small; the whole model is the first tier, whether it is listed or not."""


def steps_of(tiers: Sequence[Tier]) -> tuple[Tier, ...]:
    """The tiers with the whole model in front, once."""
    return (WHOLE, *(tier for tier in tiers if tier != WHOLE))


def tier_at(tiers: Sequence[Tier], position: float) -> Tier:
    """A size on the straight line from tier to tier; sizes never grow along it.

    Args:
        tiers: As `Tiers`.
        position: 0 is the whole model, 1 the smallest tier, tiers lie at equal distances.
            From 1 to 2 the width goes on towards nothing, at the smallest tier's depth.
    """
    steps = steps_of(tiers)
    last = steps[-1]
    if position >= 1:
        return Tier(width=max(last.width * (2 - position), 1e-9), depth=last.depth)
    number, rest = divmod(position * (len(steps) - 1), 1)
    if rest == 0:
        return steps[int(number)]
    before, after = steps[int(number)], steps[int(number) + 1]
    return Tier(
        width=before.width + rest * (after.width - before.width),
        depth=before.depth + rest * (after.depth - before.depth),
    )

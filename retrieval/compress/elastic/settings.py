"""What a recipe says of elastic training."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from retrieval.compress.elastic.nesting import NESTED, Nested
from retrieval.compress.elastic.tiers import Tier, Tiers
from retrieval.compress.importance.magnitude import Magnitude
from retrieval.compress.importance.registry import AnyCriterion
from retrieval.compress.loop.settings import Weight
from retrieval.spec.base import Spec
from retrieval.spec.errors import RecipeError
from retrieval.spec.tower import Tower

# They score while training moves the weights, or learn the scores; here order comes first.
_TOO_LATE = ("movement", "l0")


class Elastic(Spec):
    """One training gives a model and smaller ones inside it.

    The whole model learns by the stage's losses; in the same step, smaller ones learn to give
    its embeddings: the smallest, and some drawn between the tiers (the sandwich rule and
    in-place distillation of Yu and Huang, "Universally Slimmable Networks", ICCV 2019, on the
    prefixes of Dynamic Sparsification, Li et al., 2022). `leanclip extract` cuts them out.

    Example:
        ``elastic: {tiers: [0.75, 0.5, {width: 0.25, depth: 0.5}], importance: taylor}``
    """

    tiers: Tiers = (Tier(width=0.75), Tier(width=0.5), Tier(width=0.25))
    granularity: Annotated[tuple[Nested, ...], Field(min_length=1)] = NESTED
    """Which units a width is a share of; kinds that a tower does not have are left out."""
    towers: Annotated[tuple[Tower, ...], Field(min_length=1)] | None = None
    """Which towers are nested; by default those that the stage trains."""
    importance: AnyCriterion = Magnitude()
    """Orders the units before training; what ranks first is in every size."""
    calibration: Annotated[int, Field(ge=0)] = 16
    """Batches whose gradients score the units, where the criterion looks at gradients."""
    layers: Literal["spread", "importance"] = "spread"
    """Which layers a lower depth keeps: spread over the tower, or the most important."""
    drawn: Annotated[int, Field(ge=0)] = 1
    """Sizes drawn in each step beside the smallest. Each costs another forward and backward
    pass of the tower."""
    weight: Weight = 1.0
    """Of the squared distance between embeddings of smaller models and of the whole."""

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        if self.importance.criterion in _TOO_LATE:
            raise ValueError(
                f"importance {self.importance.criterion} scores while weights move, but units "
                "are ordered before; choose magnitude, taylor, platon, moebert or ablation"
            )
        return self

    def towers_of(self, trained: tuple[Tower, ...]) -> tuple[Tower, ...]:
        """The towers that are nested in a stage that trains ``trained``.

        Raises:
            RecipeError: One of `towers` is not trained.
        """
        for tower in self.towers or ():
            if tower not in trained:
                raise RecipeError(
                    f"elastic.towers names {tower}, which the stage does not train; leave it out"
                )
        return self.towers or trained

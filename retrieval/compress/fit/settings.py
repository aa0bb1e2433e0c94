"""How wide and how long to search."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from retrieval.compress.elastic.tiers import Share
from retrieval.spec.base import Spec


class Search(Spec):
    """Space and effort of a search for a shape.

    Numbers without a reason of their own are those of AutoTinyBERT (Yin et al., ACL 2021):
    candidates within 0.85 to 1.1 of the target, half of each generation new, mutation 0.25.
    """

    widths: Annotated[tuple[Share, ...], Field(min_length=1)] = (
        0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0,
    )  # fmt: skip
    """Shares of heads, neurons and channels to choose from; the whole is always one."""
    layers: bool = True
    """Whether layers of transformers may go."""
    per_layer: bool | None = None
    """Choose heads, neurons and channels for each layer; by default only channels are, since
    transformers are best with layers of one shape (AutoTinyBERT)."""
    measured: Annotated[int, Field(ge=8)] = 24
    """Shapes to measure before the search, from which times of others are predicted."""
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """Share of them that the predictor is judged by."""
    population: Annotated[int, Field(ge=2)] = 16
    generations: Annotated[int, Field(ge=1)] = 6
    fresh: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of each generation that is drawn anew; the rest descends from the best."""
    mutation: Annotated[float, Field(gt=0, le=1)] = 0.25
    """Chance of each gene of a descendant to change."""
    band: tuple[float, float] = (0.85, 1.1)
    """Predicted milliseconds that candidates may have, relative to the target. Predictions err,
    so some are a little above; the winner is measured and has to be within the target."""
    photos: Annotated[int, Field(ge=2)] = 250
    """Captioned photos that candidates are judged by, the first of the file."""
    seed: int = 0

    @model_validator(mode="after")
    def _band_holds_the_target(self) -> Self:
        if not 0 < self.band[0] < 1 <= self.band[1]:
            raise ValueError("band must be two numbers around 1, such as [0.85, 1.1]")
        return self

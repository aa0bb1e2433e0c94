"""What a checkpoint says of its weights' grid, so that exporters keep what training chose."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import Field

from retrieval.spec.base import Spec
from retrieval.spec.tower import TOWERS, Tower

if TYPE_CHECKING:
    from retrieval.spec.model import ModelConfig

Kind = Literal["int8", "int4", "ternary"]

LARGEST_CODE: Final[dict[Kind, int]] = {"int8": 127, "int4": 7, "ternary": 1}
"""Codes run from minus this to this; the largest weight of every row has it."""


class Grid(Spec):
    """Values that one weight tensor is made of: whole codes times a scale for each row.

    Scales are not stored: a row's scale is its largest magnitude divided by the largest
    code, which is exact, since training rounds scales so that their products are.
    """

    kind: Kind
    rows: Literal["matrix", "channel"] = "channel"
    """What shares a scale: the whole tensor, or what belongs to one index of its first
    dimension (an output channel, a token)."""
    group: Annotated[int, Field(ge=8)] | None = None
    """Where rows are channels: so many neighbours along the second dimension share a scale."""


class Quantisation(Spec):
    """Grids of a model's weights."""

    grids: dict[str, Grid]
    """By name in the model, such as ``text.blocks.0.up.weight``."""
    dynamic: tuple[str, ...] = ()
    """Those of the weights that were trained with inputs in int8, chosen on the fly for each
    photo or sentence."""

    def only(self, towers: Collection[Tower]) -> Self | None:
        """The part that speaks of some towers; None if nothing does."""
        grids = {name: grid for name, grid in self.grids.items() if _tower(name) in towers}
        dynamic = tuple(name for name in self.dynamic if name in grids)
        return self.model_copy(update={"grids": grids, "dynamic": dynamic}) if grids else None


def without_grid(config: "ModelConfig", towers: Collection[Tower] = TOWERS) -> "ModelConfig":
    """A configuration that promises no grid for towers whose weights have moved since."""
    if config.quantisation is None:
        return config
    still = [tower for tower in TOWERS if tower not in towers]
    return config.model_copy(update={"quantisation": config.quantisation.only(still)})


def _tower(name: str) -> str:
    return name.partition(".")[0]

"""What a recipe says of quantising during training."""

from typing import Literal, Self

from pydantic import model_validator

from retrieval.compress.loop.settings import Fraction
from retrieval.spec.base import Spec
from retrieval.spec.quantisation import Kind


class Weights(Spec):
    """Grid of each kind of weight; None leaves a kind in floating point."""

    linear: Kind | None = "int8"
    """A scale for each output; ternary has one for the matrix."""
    convolution: Kind | None = "int8"
    """A scale for each output channel, which takes batch norm along when it is exported;
    ternary has one for the whole kernel."""
    embedding: Kind | None = "int8"
    """A scale for each token."""


class Quantise(Spec):
    """Quantisation-aware training of the towers that a stage trains.

    In a recipe: ``quantise: {weights: {linear: int4, embedding: int4}, group: 32}``.
    """

    weights: Weights = Weights()
    group: Literal[32, 64, 128] | None = None
    """Where linear or embedding weights are int4: so many neighbours along the input share a
    scale, if they divide it; None: all of a row do."""
    activations: Literal["none", "int8"] = "none"
    """Round the inputs of the products in our transformers (not timm's) as ONNX Runtime does
    on the fly: to 256 even steps from the least to the greatest of each photo or sentence."""
    skip: tuple[str, ...] = ("image.projection", "text.projection", "text.bag_projection")
    """Prefixes of modules that stay in floating point. The last projections do by default,
    since their rounding goes straight into the embedding."""
    start: Fraction = 0.0
    """Share of the steps that train in floating point first."""

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        kinds = (self.weights.linear, self.weights.embedding)
        if not (any(kinds) or self.weights.convolution):
            raise ValueError("weights are all null: nothing to quantise")
        if self.group is not None and "int4" not in kinds:
            raise ValueError("group needs linear or embedding weights in int4")
        if self.activations == "int8":
            if self.weights.linear is None:
                raise ValueError("activations in int8 need linear weights that are quantised")
            if self.group is not None and self.weights.linear == "int4":
                raise ValueError("integer products have no groups: leave out group or activations")
        return self

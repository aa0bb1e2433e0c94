"""Settings of the training loop, the same for every stage."""

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from retrieval.spec.base import Spec
from retrieval.vision.resizing import RESIZINGS, Resizing

Fraction = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]


class Augmentation(Spec):
    """Random views of a photo during training."""

    size: Annotated[int, Field(ge=8)] | None = None
    """Side of the views in pixels where it differs from the student's input size; smaller
    views cost less, and a convolutional tower is as good or better at its full size."""
    min_area: Annotated[float, Field(gt=0, le=1)] = 0.6
    """Smallest share of the photo's area that a crop keeps."""
    aspect: Annotated[float, Field(ge=1, le=3)] = 1.2
    """Largest change of aspect ratio, either way."""
    mirror: bool = True
    """Flip left to right half of the time, unless a caption speaks of left or right."""
    colour: Fraction = 0.0
    """Strength of random brightness, contrast and saturation."""
    resizing: Literal["mixed"] | Annotated[tuple[Resizing, ...], Field(min_length=1)] | None = None
    """Filters that shrink the photos, one drawn for each view; ``mixed`` means all of
    `retrieval.vision.resizing`. By default that of the preprocessing, always. A teacher
    sees its own filter, so a student learns that the filter does not matter."""

    @property
    def resizings(self) -> tuple[Resizing, ...]:
        """The filters to draw from; none where it is always that of the preprocessing."""
        return RESIZINGS if self.resizing == "mixed" else self.resizing or ()

    @model_serializer(mode="wrap")
    def _without_default(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Stages are known by a hash of their settings: those that were finished before there
        # were filters to choose from keep it.
        settings: dict[str, Any] = handler(self)
        if self.resizing is None:
            settings.pop("resizing", None)
        return settings


class Training(Spec):
    """Settings of the loop, the same for every stage."""

    epochs: Annotated[int, Field(ge=1)] = 5
    batch_size: Annotated[int, Field(ge=2)] = 128
    """Of all processes together, where several train."""
    accumulation: Annotated[int, Field(ge=1)] = 1
    """Batches whose gradients are added up before a step."""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    multipliers: dict[str, Weight] = {}
    """Learning-rate factors by parameter prefix; the longest that matches applies, and 0
    freezes, for example ``{image.backbones: 0.3, image.backbones.0.conv_stem: 0}``."""
    weight_decay: Weight = 0.05
    warmup: Fraction = 0.05
    """Share of all steps over which the learning rate rises from zero; cosine after."""
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0
    dropout: Fraction = 0.0
    token_dropout: Fraction = 0.0
    """Share of tokens that are hidden from the text tower (replaced by padding's id)."""
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of an exponential moving average of the weights, evaluated and kept; 0: none."""
    freeze_norm: bool = True
    """Keep batch norm of pretrained backbones at its stored statistics."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    patience: Annotated[int, Field(ge=1)] | None = None
    """Stop after so many epochs without a better dev recall."""
    augmentation: Augmentation = Augmentation()
    loader_workers: Annotated[int, Field(ge=0)] = 2
    save_every_seconds: Annotated[float, Field(gt=0)] = 120.0

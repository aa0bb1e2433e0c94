"""What a recipe says of its student: shape, vocabulary and starting weights."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from retrieval.compress.training import Weight
from retrieval.spec.base import Spec
from retrieval.spec.model import ImageTowerSpec, TextTower, Width
from retrieval.spec.preprocessing import Preprocessing


class Vocabulary(Spec):
    """Which tokens the student reads."""

    size: Annotated[int, Field(ge=1024)] | Literal["clip"] = "clip"
    """``clip``: CLIP's 49,408 tokens. A number: that many, trained on the recipe's own
    sentences and captions. The token embedding is most of a text tower's bytes."""
    context_length: Annotated[int, Field(ge=8, le=1024)] = 77


class CanonicalCorrelation(Spec):
    """Closed-form start of both projections from captioned photos (regularised CCA)."""

    image_ridge: Annotated[float, Field(gt=0)] = 0.1
    text_ridge: Annotated[float, Field(gt=0)] = 0.1
    power: Weight = 1.0
    """Directions are weighted by their correlation to this power."""


class Start(Spec):
    """Where the student's weights come from; random where nothing is said."""

    image_weights: tuple[Path, ...] = ()
    """Weights of each timm backbone: a safetensors file, with or without a classifier, or a
    checkpoint folder, for example the teacher's, whose first fitting backbone is inherited."""
    checkpoint: Path | None = None
    """A checkpoint of the same shape to go on from; excludes the other starts."""
    canonical_correlation: CanonicalCorrelation | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.checkpoint is not None and (self.image_weights or self.canonical_correlation):
            raise ValueError("checkpoint already sets every weight; leave the other starts out")
        return self


class Student(Spec):
    """Shape and start of the model that is trained."""

    name: str
    embedding_dim: Width
    image: ImageTowerSpec
    text: TextTower
    preprocessing: Preprocessing
    vocabulary: Vocabulary = Vocabulary()
    start: Start = Start()

"""What a recipe says of its stages."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from retrieval.compress.training import Training, Weight
from retrieval.spec.base import Spec


class Distil(Spec):
    """Stage 1: one tower learns the teacher's embeddings, without pairs."""

    stage: Literal["distil"]
    tower: Literal["image", "text"]
    contrastive: Weight = 1.0
    """Pick the own teacher embedding out of the batch and a bank (METHODS 1.2)."""
    regression: Weight = 1.0
    """Squared distance to the teacher's embedding, times the embedding's length."""
    temperature: Annotated[float, Field(gt=0)] = 0.05
    bank: Annotated[int, Field(ge=0)] = 4096
    """Teacher embeddings of the corpus that serve as further negatives in each step."""
    training: Training = Training()

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        if not (self.contrastive or self.regression):
            raise ValueError("contrastive and regression are both 0: nothing to learn")
        return self


class Finetune(Spec):
    """Stage 2: captioned photos, one tower against the frozen other, or both jointly."""

    stage: Literal["finetune"]
    towers: tuple[Literal["image", "text"], ...]
    pairs: Weight = 1.0
    """In-batch contrastive loss, both ways."""
    similarity: Weight = 1.0
    """Divergence from the teacher's in-batch similarity distribution, both ways."""
    hard_negatives: Weight = 0.0
    """Contrast with what the frozen side's index ranks wrongly high."""
    mined: Annotated[int, Field(ge=1)] = 64
    """Nearest wrong items kept per query when mining, at the start of each epoch."""
    negatives: Annotated[int, Field(ge=1)] = 8
    """Of these, how many each step draws."""
    captions_per_photo: Annotated[int, Field(ge=1)] = 1
    temperature: Annotated[float, Field(gt=0)] = 0.05
    """Start of the learned temperature of the contrastive losses."""
    teacher_temperature: Annotated[float, Field(gt=0)] = 0.05
    training: Training = Training()

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        if not self.towers or len(set(self.towers)) != len(self.towers):
            raise ValueError("towers must be [image], [text] or [image, text]")
        if self.hard_negatives and len(self.towers) == 2:
            raise ValueError(
                "hard_negatives needs one tower frozen: an index of moving embeddings would be "
                "stale; set it to 0 or train one tower"
            )
        if not (self.pairs or self.similarity or self.hard_negatives):
            raise ValueError("pairs, similarity and hard_negatives are all 0: nothing to learn")
        return self


Stage = Annotated[Distil | Finetune, Field(discriminator="stage")]

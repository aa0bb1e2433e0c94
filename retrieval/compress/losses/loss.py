"""What a loss is: validated settings that a recipe names, and a scalar for a step."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from pydantic import model_validator
from torch import Tensor

from retrieval.compress.loop.settings import Weight
from retrieval.compress.losses.step import Step
from retrieval.spec.base import Spec

Need = Literal["teacher", "pairs", "frozen tower", "unrelated", "hidden states", "earlier self"]
"""What a stage must offer for a loss: a teacher, captioned photos, one tower that stays as
it is, the teacher's embeddings of the other modality, its hidden states, or embeddings by
the model as it was before."""


class Loss(Spec, ABC):
    """A loss as a recipe writes it; calling it gives its value for a step, unweighted.

    In a recipe a plain number is its weight: ``{contrastive: 1, regression: {weight: 2}}``.
    A new loss is one file with a subclass, and one line in ``losses/registry.py``.
    """

    needs: ClassVar[frozenset[Need]] = frozenset()

    weight: Weight = 1.0

    @abstractmethod
    def __call__(self, step: Step) -> Tensor:
        """A scalar, averaged over whatever the loss runs over."""

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return {"weight": value} if is_number else value

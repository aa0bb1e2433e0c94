"""Embedding regression: the best single loss in CLIP-KD (feature distillation)."""

from typing import ClassVar, Literal

from torch import Tensor

from retrieval.compress.losses.loss import Loss, Need
from retrieval.compress.losses.sides import mean_over_taught
from retrieval.compress.losses.step import Step


class EmbeddingRegression(Loss):
    """Distance to the teacher's embedding of the same item."""

    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})

    distance: Literal["squared", "cosine"] = "squared"
    """``squared`` sums squared differences over dimensions and equals twice ``cosine``,
    one minus the cosine, for embeddings of length one."""

    def __call__(self, step: Step) -> Tensor:
        factor = 1.0 if self.distance == "squared" else 0.5
        return factor * mean_over_taught(
            step, lambda student, taught: embedding_regression(student, taught.teacher)
        )


def embedding_regression(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared distance of length-one embeddings ``(batch, dim)``, averaged over the batch.

    The distance is summed over dimensions, so it lies between 0 and 4 and equals
    ``2 - 2 cosine``: its weight means the same for every embedding size.
    """
    return (student - teacher).square().sum(dim=1).mean()

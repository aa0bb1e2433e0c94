"""Unpaired vision-language distillation: unrelated sentences as a ruler (DIME-FM)."""

from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from retrieval.compress.loop.settings import Fraction
from retrieval.compress.losses.divergence import both_ways
from retrieval.compress.losses.loss import Loss, Need
from retrieval.compress.losses.sides import mean_over_taught
from retrieval.compress.losses.step import Step


class UnpairedDistillation(Loss):
    """The student's similarities to unrelated items follow the teacher's (DIME-FM, ICCV 2023).

    ``(1 - pseudo) L_VL + pseudo L_pVL``: ``L_VL`` compares, both ways, the similarity
    distributions of the batch with the teacher's embeddings of the other modality, which
    need not belong to the batch; ``L_pVL`` uses the teacher's embeddings of the batch itself
    in their place (pseudo-text), at a higher temperature.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"teacher", "unrelated"})

    unrelated: Annotated[int, Field(ge=2)] = 512
    """Items of the other modality drawn for each step."""
    temperature: Annotated[float, Field(gt=0)] = 0.05
    pseudo: Fraction = 0.3
    pseudo_softening: Annotated[float, Field(ge=1)] = 3.0
    """Factor on the temperature of ``L_pVL``."""

    def __call__(self, step: Step) -> Tensor:
        assert step.unrelated is not None
        others = step.unrelated(self.unrelated)
        return mean_over_taught(
            step,
            lambda student, taught: unpaired_distillation(
                student, taught.teacher, others,
                temperature=self.temperature,
                pseudo=self.pseudo,
                pseudo_softening=self.pseudo_softening,
            ),
        )  # fmt: skip


def unpaired_distillation(
    student: Tensor,
    teacher: Tensor,
    others: Tensor,
    *,
    temperature: float,
    pseudo: float,
    pseudo_softening: float,
) -> Tensor:
    """``L_VL`` and ``L_pVL`` of DIME-FM, mixed by ``pseudo``.

    Args:
        student: Embeddings in the teacher's space, length one, ``(batch, dim)``.
        teacher: The teacher's of the same items, ``(batch, dim)``.
        others: The teacher's of unrelated items of the other modality, ``(n, dim)``.
        temperature: Of both softmaxes of ``L_VL``.
        pseudo: Share of ``L_pVL``.
        pseudo_softening: ``L_pVL`` divides by ``temperature`` times this and is multiplied
            by its square, so that gradients keep their size.

    Returns:
        A scalar.
    """
    related = both_ways(student @ others.T / temperature, teacher @ others.T / temperature)
    if not pseudo:
        return related
    soft = temperature * pseudo_softening
    within = both_ways(student @ teacher.T / soft, teacher @ teacher.T / soft)
    return (1 - pseudo) * related + pseudo * pseudo_softening**2 * within

"""Affinity mimicking: what is near what, as the teacher sees it."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from retrieval.compress.losses.divergence import both_ways
from retrieval.compress.losses.loss import Loss, Need
from retrieval.compress.losses.step import Step


class AffinityMimicking(Loss):
    """Divergence from the teacher's in-batch similarity distribution, both ways.

    This is ``L_KD`` of stage 2 (Ren and Zhu, NAACL 2022), affinity mimicking (TinyCLIP) and
    contrastive relational distillation (CLIP-KD).
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"teacher", "pairs"})

    teacher_temperature: Annotated[float, Field(gt=0)] = 0.05
    student_temperature: Annotated[float, Field(gt=0)] | None = None
    """None: the temperature that the stage learns. TinyCLIP fixes 0.02."""

    def __call__(self, step: Step) -> Tensor:
        images, texts = step.taught
        assert step.scale is not None
        scale = step.scale
        if self.student_temperature is not None:
            scale = torch.tensor(1 / self.student_temperature, device=step.similarity.device)
        teacher = images.teacher @ texts.teacher.T
        return affinity_mimicking(step.similarity, teacher, scale, 1 / self.teacher_temperature)


def affinity_mimicking(
    student: Tensor, teacher: Tensor, scale: Tensor, teacher_scale: float
) -> Tensor:
    """KL from the teacher's to the student's in-batch softmax, averaged over both ways.

    Args:
        student: Cosines ``(photos, captions)``.
        teacher: The teacher's cosines of the same items.
        scale: The student's inverse temperature, a scalar.
        teacher_scale: The teacher's inverse temperature.

    Returns:
        A scalar.
    """
    return both_ways(student * scale, teacher * teacher_scale)

"""Interactive contrastive learning: the student's photos meet the teacher's sentences."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from retrieval.compress.losses.loss import Loss, Need
from retrieval.compress.losses.pairs import pair_contrastive
from retrieval.compress.losses.step import Step


class InteractiveContrastive(Loss):
    """Contrast each tower in training with the teacher's other tower (ICL of CLIP-KD)."""

    needs: ClassVar[frozenset[Need]] = frozenset({"teacher", "pairs"})

    temperature: Annotated[float, Field(gt=0)] = 0.05

    def __call__(self, step: Step) -> Tensor:
        images, texts = step.taught
        assert step.photo_of_caption is not None
        scale = torch.tensor(1 / self.temperature, device=images.teacher.device)
        crossed = []
        if step.pair[0].trained:
            assert images.student is not None
            crossed.append(images.student @ texts.teacher.T)
        if step.pair[1].trained:
            assert texts.student is not None
            crossed.append(images.teacher @ texts.student.T)
        losses = [pair_contrastive(cosines, step.photo_of_caption, scale) for cosines in crossed]
        return torch.stack(losses).mean()

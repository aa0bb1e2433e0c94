"""Contrastive distillation within one modality: pick your own teacher out of many."""

from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from retrieval.compress.losses.loss import Loss, Need
from retrieval.compress.losses.sides import mean_over_taught
from retrieval.compress.losses.step import Step

# Cosine above which two teacher embeddings are taken to be of the same item.
_SAME = 1 - 1e-5


class ContrastiveDistillation(Loss):
    """Pick the own teacher embedding out of the batch and a memory bank (stage 1)."""

    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})

    temperature: Annotated[float, Field(gt=0)] = 0.05
    bank: Annotated[int, Field(ge=0)] = 4096
    """Teacher embeddings of the corpus that serve as further negatives in each step."""

    def __call__(self, step: Step) -> Tensor:
        return mean_over_taught(
            step,
            lambda student, taught: contrastive_distillation(
                student, taught.teacher, taught.bank(self.bank), self.temperature
            ),
        )


def contrastive_distillation(
    student: Tensor, teacher: Tensor, bank: Tensor | None, temperature: float
) -> Tensor:
    """InfoNCE from student rows to teacher rows, with a bank of further negatives.

    ``-1/B sum_i log( exp(s_i t_i / T) / sum_j exp(s_i t_j / T) )``, where j runs over the
    batch and the bank (Ren and Zhu, NAACL 2022, stage 1). The teacher is frozen, so banked
    embeddings are never stale.

    Args:
        student: Length-one embeddings ``(batch, dim)``.
        teacher: Length-one embeddings of the same items ``(batch, dim)``.
        bank: Other teacher embeddings of length one, ``(n, dim)``. An item of the bank, or
            of another row, whose embedding equals a row's own teacher embedding is that
            row's own item again and is left out of its denominator.
        temperature: T above.

    Returns:
        A scalar.
    """
    candidates = teacher if bank is None else torch.cat([teacher, bank])
    own_again = teacher @ candidates.T > _SAME
    own_again.fill_diagonal_(False)
    logits = (student @ candidates.T / temperature).masked_fill(own_again, -torch.inf)
    targets = torch.arange(len(student), device=student.device)
    return F.cross_entropy(logits, targets)

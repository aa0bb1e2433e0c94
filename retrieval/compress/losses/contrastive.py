"""Contrastive distillation within one modality: pick your own teacher out of many."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


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
        bank: Other teacher embeddings ``(n, dim)``. One that belongs to a row's own item is
            recognised by equality with its teacher embedding and left out for that row.
        temperature: T above.

    Returns:
        A scalar.
    """
    logits = student @ teacher.T / temperature
    if bank is not None and len(bank):
        is_own = teacher @ bank.T > 1 - 1e-4
        against_bank = (student @ bank.T / temperature).masked_fill(is_own, -torch.inf)
        logits = torch.cat([logits, against_bank], dim=1)
    targets = torch.arange(len(student), device=student.device)
    return F.cross_entropy(logits, targets)

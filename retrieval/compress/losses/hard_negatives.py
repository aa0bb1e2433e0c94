"""Contrast with the items that an index of the frozen side ranks wrongly high."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def hard_negative_contrast(
    query: Tensor, positive: Tensor, negatives: Tensor, scale: Tensor
) -> Tensor:
    """``-log( exp(q p / T) / (exp(q p / T) + sum_n exp(q n / T)) )`` (``L_HN`` of stage 2).

    Args:
        query: Length-one embeddings of the tower in training, ``(batch, dim)``.
        positive: The matching frozen embedding of each query, ``(batch, dim)``.
        negatives: Mined frozen embeddings of each query, ``(batch, k, dim)``.
        scale: Inverse temperature, a scalar.

    Returns:
        A scalar.
    """
    right = (query * positive).sum(dim=1, keepdim=True)
    wrong = torch.einsum("bd,bkd->bk", query, negatives)
    logits = torch.cat([right, wrong], dim=1) * scale
    return F.cross_entropy(logits, torch.zeros(len(query), dtype=torch.long, device=query.device))

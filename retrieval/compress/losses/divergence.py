"""Kullback-Leibler divergence between similarity distributions, row by row."""

import torch.nn.functional as F
from torch import Tensor


def row_divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """``KL(softmax(teacher) || softmax(student))`` of logits ``(rows, columns)``, mean of rows."""
    return F.kl_div(
        F.log_softmax(student, dim=1),
        F.log_softmax(teacher, dim=1),
        log_target=True,
        reduction="batchmean",
    )


def both_ways(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean of `row_divergence` over rows and over columns."""
    return (row_divergence(student, teacher) + row_divergence(student.T, teacher.T)) / 2

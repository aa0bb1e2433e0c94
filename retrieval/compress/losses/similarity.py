"""Distillation of the similarity distribution: what is near what, as the teacher sees it."""

import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def similarity_distillation(
    student: Tensor, teacher: Tensor, scale: Tensor, teacher_scale: float
) -> Tensor:
    """KL from the teacher's to the student's in-batch softmax, averaged over both ways.

    This is ``L_KD`` of stage 2 (Ren and Zhu, NAACL 2022) and, up to a constant, affinity
    mimicking (TinyCLIP).

    Args:
        student: Cosines ``(photos, captions)``.
        teacher: The teacher's cosines of the same items.
        scale: The student's inverse temperature, a scalar.
        teacher_scale: The teacher's inverse temperature.

    Returns:
        A scalar.
    """
    own, target = student * scale, teacher * teacher_scale
    return (_divergence(own, target) + _divergence(own.T, target.T)) / 2


def _divergence(own: Tensor, target: Tensor) -> Tensor:
    return F.kl_div(
        F.log_softmax(own, dim=1),
        F.log_softmax(target, dim=1),
        log_target=True,
        reduction="batchmean",
    )

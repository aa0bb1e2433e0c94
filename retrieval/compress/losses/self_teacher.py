"""Self-regularisation: the best earlier state of the model teaches the present one (PINS)."""

from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from retrieval.compress.losses.loss import Loss, Need
from retrieval.compress.losses.step import Step


class SelfRegularisation(Loss):
    """Soft targets from the student's best state so far, weighted by the student's doubt.

    The first teacher is the model that the stage was given; each evaluation that is better
    on dev replaces it (Ren and Zhu, Findings of ACL 2023).
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"pairs", "earlier self"})

    softening: Annotated[float, Field(ge=1)] = 2.0
    """Factor on the temperature of both softmaxes (T in the paper)."""

    def __call__(self, step: Step) -> Tensor:
        images, texts = step.pair
        assert step.scale is not None
        assert step.photo_of_caption is not None
        earlier_images = images.student if images.best_self is None else images.best_self
        earlier_texts = texts.student if texts.best_self is None else texts.best_self
        earlier = (earlier_images @ earlier_texts.T).detach() * step.scale.detach()
        own = step.similarity * step.scale
        owner = step.photo_of_caption
        belongs = torch.zeros_like(own)
        belongs[owner, torch.arange(len(owner), device=owner.device)] = 1
        return (
            self_regularisation(own, earlier, belongs, self.softening)
            + self_regularisation(own.T, earlier.T, belongs.T, self.softening)
        ) / 2


def self_regularisation(
    student: Tensor, earlier: Tensor, belongs: Tensor, softening: float
) -> Tensor:
    """``a T^2 CE(softmax(z_T / T), z_S / T) + (1 - a) CE(y, z_S)``, averaged over the rows.

    ``a = 1 - H(softmax z_S) / log C`` for each row, without gradient, where C is the number
    of columns (PINS; our reading for retrieval, where the classes are a batch's candidates).

    Args:
        student: Logits ``(queries, candidates)``.
        earlier: Logits of the earlier state, the same shape.
        belongs: 1 where a candidate is right for a query, the same shape; several right ones
            share the probability.
        softening: T above.

    Returns:
        A scalar.
    """
    own = F.log_softmax(student, dim=1)
    entropy = -(own.exp() * own).sum(dim=1)
    certainty = (1 - entropy / torch.tensor(student.shape[1]).log()).detach()
    soft = F.softmax(earlier / softening, dim=1)
    following = -(soft * F.log_softmax(student / softening, dim=1)).sum(dim=1)
    right = belongs / belongs.sum(dim=1, keepdim=True).clamp(min=1)
    deciding = -(right * own).sum(dim=1)
    return (certainty * softening**2 * following + (1 - certainty) * deciding).mean()

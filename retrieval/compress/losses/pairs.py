"""Contrastive loss over captioned photos, where a photo may have several captions."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from retrieval.compress.losses.loss import Loss, Need
from retrieval.compress.losses.step import Step


class PairContrastive(Loss):
    """In-batch contrast of photos and their captions, both ways (CLIP's loss)."""

    needs: ClassVar[frozenset[Need]] = frozenset({"pairs"})

    def __call__(self, step: Step) -> Tensor:
        assert step.photo_of_caption is not None
        assert step.scale is not None
        return pair_contrastive(step.similarity, step.photo_of_caption, step.scale)


def pair_contrastive(similarity: Tensor, photo_of_caption: Tensor, scale: Tensor) -> Tensor:
    """InfoNCE both ways (CLIP's loss) for any number of captions per photo.

    A caption's own photo is its only positive. For a photo, each of its captions in turn is
    the positive, and its other captions are left out of the denominator: they are right too.

    Args:
        similarity: Cosines ``(photos, captions)``.
        photo_of_caption: Row of each caption's photo, ``(captions,)``.
        scale: Inverse temperature, a scalar.

    Returns:
        The mean of both directions, a scalar.
    """
    logits = similarity * scale
    captions = torch.arange(similarity.shape[1], device=similarity.device)
    text_to_image = F.cross_entropy(logits.T, photo_of_caption)
    rows = logits[photo_of_caption]
    sibling = photo_of_caption.unsqueeze(1) == photo_of_caption.unsqueeze(0)
    sibling[captions, captions] = False
    image_to_text = F.cross_entropy(rows.masked_fill(sibling, -torch.inf), captions)
    return (text_to_image + image_to_text) / 2

"""Captioned photos as batches: which captions come with the photos of a batch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from retrieval.compress.data.groups import CaptionGroups
from retrieval.compress.data.inputs import PhotoInputs
from retrieval.compress.data.order import shuffled_batches
from retrieval.compress.data.tokens import trimmed
from retrieval.compress.distributed.gather import own_part
from retrieval.spec.model import TextTower

Batch = dict[str, Tensor]
"""``photo``, ``view`` and ``caption`` name the items, ``owner`` the row of each caption's
photo; ``pixels`` are this process's part of the photos, ``ids`` all captions."""


@dataclass(frozen=True)
class Pairs:
    """Captioned photos as a stage sees them.

    Attributes:
        photos: Views and order of the photos.
        captions: Those of each photo.
    """

    photos: PhotoInputs
    captions: CaptionGroups

    def batches(
        self,
        epoch: int,
        first: int,
        *,
        captions_per_photo: int,
        seed: int,
        pixels: bool,
        tokens_for: TextTower | None,
    ) -> Iterator[Batch]:
        """Batches of one epoch from number ``first`` on, by seed and epoch alone.

        Args:
            epoch: Counts from 0.
            first: Batches to leave out.
            captions_per_photo: Of each photo, as far as it has so many.
            seed: Of order and captions.
            pixels: Whether photos are wanted.
            tokens_for: The text tower, where token ids are wanted.
        """
        training = self.photos.training_settings
        order = shuffled_batches(
            len(self.photos.views), training.batch_size, seed=seed, epoch=epoch
        )[first:]  # fmt: skip
        shown = iter(())
        if pixels:
            own = [photos[own_part(len(photos))] for photos in order]
            shown = self.photos.views.batches(own, epoch, training.loader_workers)
        for number, photos in enumerate(order, start=first):
            generator = np.random.default_rng([seed, epoch, number])
            captions, owner = self.captions.draw(photos, captions_per_photo, generator)
            batch = {
                "photo": torch.tensor(photos),
                "view": torch.tensor(self.photos.views.rows(epoch, photos)),
                "caption": torch.from_numpy(captions),
                "owner": torch.from_numpy(owner),
            }
            if pixels:
                batch["pixels"] = next(shown)
            if tokens_for is not None:
                batch["ids"] = trimmed(self.captions.ids[captions], tokens_for)
            yield batch

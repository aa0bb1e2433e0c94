"""Captioned photos as batches: which captions come with the photos of a batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval.compress.data.inputs import PhotoInputs
from retrieval.compress.data.order import shuffled_batches
from retrieval.compress.data.tokens import Ids, trimmed
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
        ids: Token ids of all captions, ``(captions, context)``.
        photo_of_caption: ``(captions,)``, non-decreasing.
    """

    photos: PhotoInputs
    ids: Ids
    photo_of_caption: NDArray[np.int64]

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
            captions, owner = self._draw(photos, captions_per_photo, generator)
            batch = {
                "photo": torch.tensor(photos),
                "view": torch.tensor(self.photos.views.rows(epoch, photos)),
                "caption": torch.from_numpy(captions),
                "owner": torch.from_numpy(owner),
            }
            if pixels:
                batch["pixels"] = next(shown)
            if tokens_for is not None:
                batch["ids"] = trimmed(self.ids[captions], tokens_for)
            yield batch

    def _draw(
        self, photos: Sequence[int], count: int, generator: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Captions of a batch, and for each the row of its photo in the batch."""
        captions: list[int] = []
        owner: list[int] = []
        for row, photo in enumerate(photos):
            first, last = self._first_caption[photo], self._first_caption[photo + 1]
            wanted = min(count, last - first)
            captions += generator.choice(np.arange(first, last), wanted, replace=False).tolist()
            owner += [row] * wanted
        return np.array(captions), np.array(owner)

    @cached_property
    def _first_caption(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(np.bincount(self.photo_of_caption))])

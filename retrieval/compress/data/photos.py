"""Photos as batches of pixels, decoded by worker processes beside the training step."""

import re
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from retrieval.compress.data.order import Batches, item_seed
from retrieval.compress.data.views import random_view
from retrieval.compress.training import Augmentation
from retrieval.spec.errors import PhotoError
from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.decode import open_photo
from retrieval.vision.preprocess import load_pixels

_Loaded = Tensor | PhotoError

_SIDES = re.compile(r"\b(left|right)\b", re.IGNORECASE)


def may_mirror(captions: Sequence[str]) -> bool:
    """Whether flipping left to right keeps the captions true."""
    return not any(_SIDES.search(caption) for caption in captions)


class PhotoViews(Dataset[_Loaded]):
    """Random views of photos; items are asked for as ``(epoch, index)``."""

    def __init__(
        self,
        photos: Sequence[Path],
        spec: Preprocessing,
        augmentation: Augmentation,
        *,
        seed: int,
        mirror: Sequence[bool] | None = None,
    ) -> None:
        self.photos = photos
        self.spec = spec
        self.augmentation = augmentation
        self.seed = seed
        self.mirror = mirror

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, key: tuple[int, int]) -> _Loaded:
        epoch, index = key
        spec = self.spec
        try:
            photo = open_photo(
                self.photos[index],
                # The margin that is decoded above this leaves room for crops without blur.
                target=self.augmentation.size or spec.size,
                exif_orientation=spec.exif_orientation,
                fill=spec.fill,
            )
        except PhotoError as error:
            return error
        mirror = self.mirror is None or self.mirror[index]
        seed = item_seed(self.seed, epoch, index)
        return torch.from_numpy(random_view(photo, spec, self.augmentation, seed, mirror))

    def batches(self, order: Batches, epoch: int, workers: int) -> Iterator[Tensor]:
        """uint8 ``(batch, 3, size, size)`` for each list of indices in ``order``."""
        keys = [[(epoch, index) for index in batch] for batch in order]
        return _loaded(self, workers, batch_sampler=keys)


class WholePhotos(Dataset[_Loaded]):
    """Photos exactly as inference sees them."""

    def __init__(self, photos: Sequence[Path], spec: Preprocessing) -> None:
        self.photos = photos
        self.spec = spec

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, index: int) -> _Loaded:
        try:
            pixels = load_pixels(self.photos[index], self.spec)
        except PhotoError as error:
            return error
        return torch.from_numpy(np.ascontiguousarray(pixels))

    def batches(self, batch_size: int, workers: int) -> Iterator[Tensor]:
        """uint8 ``(batch, 3, size, size)`` in order."""
        return _loaded(self, workers, batch_size=batch_size)


def _loaded(photos: Dataset[_Loaded], workers: int, **batching: Any) -> Iterator[Tensor]:
    """Batches in order, decoded by ``workers`` processes, or by this one when there are none.

    Raises:
        PhotoError: A photo cannot be decoded.
    """
    loader: DataLoader[_Loaded] = DataLoader(
        photos,
        num_workers=workers,
        collate_fn=_stacked,
        worker_init_fn=_leave_ctrl_c_to_parent,
        # A loader draws a seed when it starts. It must not draw it from the generator that
        # dropout uses, or a resumed run, which starts its loader later, would drift.
        generator=torch.Generator(),
        **batching,
    )
    for batch in loader:
        # An exception that is raised in a worker arrives as its whole traceback.
        if isinstance(batch, PhotoError):
            raise PhotoError(f"{batch}; remove it from the photos and captions to train on")
        yield batch


def _stacked(items: list[_Loaded]) -> _Loaded:
    damaged = [item for item in items if isinstance(item, PhotoError)]
    return damaged[0] if damaged else default_collate(items)


def _leave_ctrl_c_to_parent(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

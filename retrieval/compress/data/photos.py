"""Photos as batches of pixels, decoded by worker processes beside the training step."""

import re
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from retrieval.compress.data.order import Batches, item_seed
from retrieval.compress.data.views import random_view
from retrieval.compress.recipe import Augmentation
from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.decode import open_photo
from retrieval.vision.preprocess import load_pixels

_SIDES = re.compile(r"\b(left|right)\b", re.IGNORECASE)


def may_mirror(captions: Sequence[str]) -> bool:
    """Whether flipping left to right keeps the captions true."""
    return not any(_SIDES.search(caption) for caption in captions)


class PhotoViews(Dataset[Tensor]):
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

    def __getitem__(self, key: tuple[int, int]) -> Tensor:
        epoch, index = key
        # Decoding a quarter larger than needed leaves room for crops without blur.
        photo = open_photo(self.photos[index], target=self.spec.size * 5 // 4)
        mirror = self.mirror is None or self.mirror[index]
        seed = item_seed(self.seed, epoch, index)
        return torch.from_numpy(random_view(photo, self.spec, self.augmentation, seed, mirror))

    def batches(self, order: Batches, epoch: int, workers: int) -> Iterator[Tensor]:
        """uint8 ``(batch, 3, size, size)`` for each list of indices in ``order``."""
        keys = [[(epoch, index) for index in batch] for batch in order]
        yield from DataLoader(
            self, batch_sampler=keys, num_workers=workers, worker_init_fn=_leave_ctrl_c_to_parent
        )


class WholePhotos(Dataset[Tensor]):
    """Photos exactly as inference sees them."""

    def __init__(self, photos: Sequence[Path], spec: Preprocessing) -> None:
        self.photos = photos
        self.spec = spec

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(load_pixels(self.photos[index], self.spec)))

    def batches(self, batch_size: int, workers: int) -> Iterator[Tensor]:
        """uint8 ``(batch, 3, size, size)`` in order."""
        yield from DataLoader(
            self,
            batch_size=batch_size,
            num_workers=workers,
            worker_init_fn=_leave_ctrl_c_to_parent,
        )


def _leave_ctrl_c_to_parent(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

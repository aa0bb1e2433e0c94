"""Photos as batches of pixels, made by threads beside the training step.

Threads, not processes: Pillow leaves the interpreter to others while it decodes and resizes,
and the first thing that a training process does after a fork is to copy each page of memory
that it touches, which halved the photos per second of an epoch of six batches on a CPU.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from retrieval.compress.data.order import Batches, item_seed
from retrieval.compress.data.store import PixelStore
from retrieval.compress.data.views import (
    View,
    ViewRules,
    draw_resizing,
    draw_view,
    photo_size,
    show_view,
)
from retrieval.compress.loop.settings import Augmentation
from retrieval.encode.batches import loaded_ahead
from retrieval.spec.errors import PhotoError
from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.decode import open_photo
from retrieval.vision.preprocess import load_pixels

_Keys = TypeVar("_Keys")

_BATCHES_AHEAD = 1

StoredViews = NDArray[np.float64]
"""Fields of a `View` in their order, ``(photos, views, fields)``."""


class PhotoViews:
    """Random views of photos; items are asked for as ``(epoch, index)``.

    Args:
        photos: Files.
        spec: What the model in training takes.
        augmentation: How far views may go, their side, and the filters that shrink them.
        seed: Seeds the views.
        mirror: Whether each photo may be flipped left to right; all may by default.
        stored: Views whose teacher embeddings are known; of each photo one is shown an
            epoch, in turns. None draws a new view every time.
        store: Photos that are decoded already.
    """

    def __init__(
        self,
        photos: Sequence[Path],
        spec: Preprocessing,
        augmentation: Augmentation,
        *,
        seed: int,
        mirror: Sequence[bool] | None = None,
        stored: StoredViews | None = None,
        store: PixelStore | None = None,
    ) -> None:
        self.photos = photos
        self.spec = spec
        self.augmentation = augmentation
        self.seed = seed
        self.mirror = mirror
        self.stored = stored
        self.store = store
        self.rules = ViewRules.of(spec, augmentation)

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def side(self) -> int:
        """Height and width of the views."""
        return self.augmentation.size or self.spec.size

    def rows(self, epoch: int, indices: Sequence[int]) -> list[int]:
        """Rows of the teacher's embeddings that belong to what an epoch shows.

        Without stored views a photo has one row, its index. With ``K`` of them it has the
        rows ``index * K`` to ``index * K + K - 1``, one for each view.
        """
        if self.stored is None:
            return list(indices)
        return [index * self.stored.shape[1] + self._turn(epoch, index) for index in indices]

    def __getitem__(self, key: tuple[int, int]) -> Tensor:
        epoch, index = key
        photo = self._open(self.photos[index])
        seed = item_seed(self.seed, epoch, index)
        if self.stored is not None:
            view = View(*self.stored[index, self._turn(epoch, index)])
        else:
            mirror = self.mirror is None or self.mirror[index]
            view = draw_view(photo_size(photo), self.rules, seed, mirror)
        resizing = draw_resizing(self.spec, self.augmentation, seed)
        return torch.from_numpy(show_view(photo, view, self.side, resizing))

    def batches(self, order: Batches, epoch: int, workers: int) -> Iterator[Tensor]:
        """uint8 ``(batch, 3, size, size)`` for each list of indices in ``order``."""
        return _loaded(
            order,
            lambda batch: torch.stack([self[epoch, index] for index in batch]),
            workers,
        )

    def _open(self, photo: Path) -> Image.Image:
        if self.store is not None:
            return self.store.open(photo)
        spec = self.spec
        return open_photo(
            photo,
            # The margin that is decoded above this leaves room for crops without blur.
            target=self.side,
            exif_orientation=spec.exif_orientation,
            fill=spec.fill,
        )

    def _turn(self, epoch: int, index: int) -> int:
        """Which stored view an epoch shows; photos begin at different ones."""
        assert self.stored is not None
        views: int = self.stored.shape[1]
        return (epoch + item_seed(self.seed, 0, index)) % views


class WholePhotos:
    """Photos exactly as inference sees them."""

    def __init__(self, photos: Sequence[Path], spec: Preprocessing) -> None:
        self.photos = photos
        self.spec = spec

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(load_pixels(self.photos[index], self.spec))

    def batches(self, batch_size: int, workers: int) -> Iterator[Tensor]:
        """uint8 ``(batch, 3, size, size)`` in order."""
        starts = range(0, len(self), batch_size)
        parts = [range(start, min(len(self), start + batch_size)) for start in starts]
        return _loaded(parts, lambda part: torch.stack([self[index] for index in part]), workers)


def _loaded(
    batches: Sequence[_Keys], load: Callable[[_Keys], Tensor], workers: int
) -> Iterator[Tensor]:
    """Batches in order, made by ``workers`` threads, or by this one when there are none.

    Raises:
        PhotoError: A photo cannot be decoded.
    """
    if workers:
        loaded = loaded_ahead(batches, load, workers + _BATCHES_AHEAD, threads=workers)
    else:
        loaded = map(load, batches)
    try:
        for batch in loaded:
            if isinstance(batch, PhotoError):
                raise batch
            yield batch
    except PhotoError as error:
        raise PhotoError(f"{error}; remove it from the photos and captions to train on") from error

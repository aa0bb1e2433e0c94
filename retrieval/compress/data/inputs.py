"""What a tower is fed in stage 1: items with their index, in seeded order."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from retrieval.compress.data.order import Batches, batches_by_length, shuffled_batches
from retrieval.compress.data.photos import PhotoViews, StoredViews
from retrieval.compress.data.store import PixelStore
from retrieval.compress.data.tokens import (
    Ids,
    hide_tokens,
    token_lengths,
    trimmed,
    used_tokens,
)
from retrieval.compress.distributed.gather import own_part
from retrieval.compress.loop.settings import Training
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.normalise import PixelNormaliser
from retrieval.models.strided import without_stride
from retrieval.spec.model import VitTower


class Inputs(ABC):
    """Items of one modality and how the student embeds them."""

    @property
    @abstractmethod
    def steps_per_epoch(self) -> int:
        """Batches in one epoch."""

    @abstractmethod
    def batches(self, epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        """``(rows (batch,), given)`` of an epoch from batch ``first`` on.

        Rows are those of the whole batch; what is given is for `prepare`. A row says where
        the teacher's embedding of an item lies. It is the item's index, unless several views
        of each photo were embedded (`PhotoViews.rows`).
        """

    def items(self, rows: Tensor) -> Tensor:
        """The items, ``(batch,)``, that rows of the teacher's embeddings belong to."""
        return rows

    @abstractmethod
    def prepare(self, given: Tensor, *, noisy: bool) -> Tensor:
        """This process's part of a batch as a tower takes it; ``noisy`` adds training's noise."""

    @abstractmethod
    def embed(self, model: DualEncoder, inputs: Tensor) -> Tensor:
        """Embeddings ``(batch, dim)`` of a prepared batch, of length one."""

    @abstractmethod
    def used(self, inputs: Tensor) -> Tensor:
        """Which positions of a transformer's hidden states count, ``(batch, length)``."""


class PhotoInputs(Inputs, nn.Module):
    """Random views of photos.

    Args:
        photos: Files.
        model: The student, which gives the preprocessing.
        training: Gives batch size, augmentation and loader workers.
        seed: Seeds order and views.
        mirror: Whether each photo may be flipped left to right; all may by default.
        stored: Views whose teacher embeddings are known, which are shown in turns.
        store: Photos that are decoded already.
    """

    def __init__(
        self,
        photos: Sequence[Path],
        model: DualEncoder,
        training: Training,
        *,
        seed: int,
        mirror: Sequence[bool] | None = None,
        stored: StoredViews | None = None,
        store: PixelStore | None = None,
    ) -> None:
        super().__init__()
        spec = model.config.preprocessing
        self.views = PhotoViews(
            photos,
            spec,
            training.augmentation,
            seed=seed,
            mirror=mirror,
            stored=stored,
            store=store,
        )
        self.training_settings = training
        self.seed = seed
        self.normalise = PixelNormaliser(spec)
        without_stride(model.image)
        tower = model.config.image
        # A class token and the patches; only such towers have hidden states to match.
        self.positions = 1 + (spec.size // tower.patch) ** 2 if isinstance(tower, VitTower) else 0

    @property
    def steps_per_epoch(self) -> int:
        return max(1, len(self.views) // self.training_settings.batch_size)

    def batches(self, epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        settings = self.training_settings
        order = shuffled_batches(len(self.views), settings.batch_size, seed=self.seed, epoch=epoch)
        rest = order[first:]
        own = [indices[own_part(len(indices))] for indices in rest]
        pixels = self.views.batches(own, epoch, settings.loader_workers)
        for indices, batch in zip(rest, pixels, strict=True):
            yield torch.tensor(self.views.rows(epoch, indices)), batch

    def items(self, rows: Tensor) -> Tensor:
        stored = self.views.stored
        return rows if stored is None else rows // stored.shape[1]

    def prepare(self, given: Tensor, *, noisy: bool) -> Tensor:
        return channels_last(self.normalise(given))

    def embed(self, model: DualEncoder, inputs: Tensor) -> Tensor:
        return model.encode_image(inputs)

    def used(self, inputs: Tensor) -> Tensor:
        return torch.ones(len(inputs), self.positions, dtype=torch.bool, device=inputs.device)


class SentenceInputs(Inputs):
    """Sentences as token ids, batched by length."""

    def __init__(
        self,
        ids: Ids,
        model: DualEncoder,
        tokenizer: Tokenizer,
        training: Training,
        *,
        seed: int,
    ) -> None:
        self.ids = ids
        self.tower = model.config.text
        self.tokenizer = tokenizer
        self.training_settings = training
        self.seed = seed
        self.lengths = token_lengths(ids, tokenizer)

    @property
    def steps_per_epoch(self) -> int:
        return max(1, len(self.ids) // self.training_settings.batch_size)

    def batches(self, epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        for indices in self._order(epoch)[first:]:
            yield torch.tensor(indices), trimmed(self.ids[indices], self.tower)

    def prepare(self, given: Tensor, *, noisy: bool) -> Tensor:
        rate = self.training_settings.token_dropout if noisy else 0.0
        # All processes hide tokens of the whole batch, so they go on with the same numbers.
        return hide_tokens(given, rate, self.tokenizer)[own_part(len(given))]

    def embed(self, model: DualEncoder, inputs: Tensor) -> Tensor:
        return model.encode_text(inputs)

    def used(self, inputs: Tensor) -> Tensor:
        return used_tokens(inputs, self.tokenizer)

    def _order(self, epoch: int) -> Batches:
        size = self.training_settings.batch_size
        return batches_by_length(self.lengths, size, seed=self.seed, epoch=epoch)


def channels_last(pixels: Tensor) -> Tensor:
    """The memory layout in which convolutions run fastest on CPUs and on tensor cores."""
    return pixels.contiguous(memory_format=torch.channels_last)

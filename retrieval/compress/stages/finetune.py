"""Stage 2: captioned photos; one tower learns against the frozen other, or both jointly."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from retrieval.compress.data.inputs import PhotoInputs, channels_last
from retrieval.compress.data.order import shuffled_batches
from retrieval.compress.data.tokens import Ids, hide_tokens, trimmed
from retrieval.compress.losses.hard_negatives import hard_negative_contrast
from retrieval.compress.losses.pairs import pair_contrastive
from retrieval.compress.losses.similarity import similarity_distillation
from retrieval.compress.mining import mine_hard_negatives
from retrieval.compress.stages.settings import Finetune
from retrieval.compress.task import Task
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.dual_encoder import DualEncoder

# CLIP's bound on the inverse temperature; beyond it the loss becomes unstable.
_LARGEST_SCALE = 100.0


@dataclass(frozen=True)
class Pairs:
    """Captioned photos as the stage sees them.

    Attributes:
        photos: Views and order of the photos.
        ids: Token ids of all captions, ``(captions, context)``.
        photo_of_caption: ``(captions,)``, non-decreasing.
        teacher_images: ``(photos, teacher_dim)``, or None without a teacher.
        teacher_texts: ``(captions, teacher_dim)``, or None.
    """

    photos: PhotoInputs
    ids: Ids
    photo_of_caption: NDArray[np.int64]
    teacher_images: Tensor | None
    teacher_texts: Tensor | None


@dataclass(frozen=True)
class Embedders:
    """How to embed all photos or all captions with the present weights, without noise."""

    photos: Callable[[], Tensor]
    captions: Callable[[], Tensor]


class FinetuneTask(Task):
    """Pair contrast, similarity distillation and hard negatives.

    A frozen tower's embeddings of the whole corpus are computed once, at the first epoch:
    they never change, which is why the two towers are trained one after the other and why
    an index over them stays valid (Ren and Zhu, NAACL 2022).
    """

    def __init__(
        self,
        stage: Finetune,
        model: DualEncoder,
        tokenizer: Tokenizer,
        pairs: Pairs,
        embedders: Embedders,
        judge: Callable[[], Mapping[str, Any]],
        *,
        seed: int,
    ) -> None:
        super().__init__()
        self.settings = stage.training
        self.stage = stage
        self.tokenizer = tokenizer
        self.pairs = pairs
        # As a module of the task, it moves to the device that the task moves to.
        self.normalise = pairs.photos.normalise
        self.embedders = embedders
        self.judge = judge
        self.seed = seed
        self.steps_per_epoch = pairs.photos.steps_per_epoch
        self.model = model
        self.log_scale = nn.Parameter(torch.tensor(-math.log(stage.temperature)))
        model.image.requires_grad_("image" in stage.towers)
        model.text.requires_grad_("text" in stage.towers)
        self.frozen: Tensor | None = None
        self.mined: Tensor | None = None
        counts = np.bincount(pairs.photo_of_caption)
        self._first_caption = np.concatenate([[0], np.cumsum(counts)])

    def start_epoch(self, epoch: int) -> None:
        if self.frozen is None and len(self.stage.towers) == 1:
            self.frozen = self._embed_frozen()
        if self.stage.hard_negatives:
            self.mined = self._mine()

    def extra_state(self) -> dict[str, Any]:
        return {"mined": self.mined}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.mined = state["mined"]
        if len(self.stage.towers) == 1:
            self.eval()
            self.frozen = self._embed_frozen()

    def batches(self, epoch: int, first: int) -> Iterator[dict[str, Tensor]]:
        size = self.settings.batch_size
        order = shuffled_batches(
            len(self.pairs.photos.views), size, seed=self.seed, epoch=epoch
        )[first:]  # fmt: skip
        pixels = None
        if "image" in self.stage.towers:
            workers = self.settings.loader_workers
            pixels = self.pairs.photos.views.batches(order, epoch, workers)
        for number, photos in enumerate(order, start=first):
            captions, owner = self._draw_captions(photos, epoch, number)
            batch = {
                "photo": torch.tensor(photos),
                "caption": torch.from_numpy(captions),
                "owner": torch.from_numpy(owner),
            }
            if pixels is not None:
                batch["pixels"] = next(pixels)
            if "text" in self.stage.towers:
                batch["ids"] = trimmed(self.pairs.ids[captions], self.model.config.text)
            yield batch

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        images = self._images(batch)
        texts = self._texts(batch)
        # Cosines divided by a temperature need more digits than mixed precision has.
        with torch.autocast(images.device.type, enabled=False):
            return self._losses(images, texts, batch)

    def _losses(self, images: Tensor, texts: Tensor, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        stage = self.stage
        scale = self.log_scale.exp().clamp(max=_LARGEST_SCALE)
        similarity = images @ texts.T
        losses: dict[str, Tensor] = {}
        if stage.pairs:
            losses["pairs"] = stage.pairs * pair_contrastive(similarity, batch["owner"], scale)
        if stage.similarity:
            losses["similarity"] = stage.similarity * similarity_distillation(
                similarity, self._teacher_similarity(batch), scale, 1 / stage.teacher_temperature
            )
        if stage.hard_negatives:
            losses["hard_negatives"] = stage.hard_negatives * self._hard_negatives(
                images, texts, batch, scale
            )
        return losses

    def evaluate(self) -> Mapping[str, Any]:
        return self.judge()

    def _images(self, batch: dict[str, Tensor]) -> Tensor:
        if "pixels" not in batch:
            assert self.frozen is not None
            return self.frozen[batch["photo"].cpu()].to(batch["photo"].device)
        pixels = channels_last(self.normalise(batch["pixels"]))
        return F.normalize(self.model.encode_image(pixels).float(), dim=-1)

    def _texts(self, batch: dict[str, Tensor]) -> Tensor:
        if "ids" not in batch:
            assert self.frozen is not None
            return self.frozen[batch["caption"].cpu()].to(batch["caption"].device)
        rate = self.settings.token_dropout if self.training else 0.0
        ids = hide_tokens(batch["ids"], rate, self.tokenizer)
        return F.normalize(self.model.encode_text(ids).float(), dim=-1)

    def _teacher_similarity(self, batch: dict[str, Tensor]) -> Tensor:
        assert self.pairs.teacher_images is not None
        assert self.pairs.teacher_texts is not None
        images = self.pairs.teacher_images[batch["photo"].cpu()]
        texts = self.pairs.teacher_texts[batch["caption"].cpu()]
        return (images.float() @ texts.float().T).to(batch["photo"].device)

    def _hard_negatives(
        self, images: Tensor, texts: Tensor, batch: dict[str, Tensor], scale: Tensor
    ) -> Tensor:
        assert self.mined is not None
        assert self.frozen is not None
        trains_image = self.stage.towers == ("image",)
        of_photo = images[batch["owner"]]
        query, positive = (of_photo, texts) if trains_image else (texts, of_photo)
        row = batch["photo"][batch["owner"]] if trains_image else batch["caption"]
        mined = self.mined[row.cpu()]
        drawn = torch.randint(mined.shape[1], (len(mined), self.stage.negatives))
        negatives = self.frozen[mined.gather(1, drawn)].to(query.device)
        return hard_negative_contrast(query, positive, negatives, scale)

    def _draw_captions(
        self, photos: list[int], epoch: int, number: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Captions of a batch, and for each the row of its photo in the batch."""
        generator = np.random.default_rng([self.seed, epoch, number])
        captions: list[int] = []
        owner: list[int] = []
        for row, photo in enumerate(photos):
            first, last = self._first_caption[photo], self._first_caption[photo + 1]
            wanted = min(self.stage.captions_per_photo, last - first)
            captions += generator.choice(np.arange(first, last), wanted, replace=False).tolist()
            owner += [row] * wanted
        return np.array(captions), np.array(owner)

    def _embed_frozen(self) -> Tensor:
        embedders = self.embedders
        return embedders.photos() if self.stage.towers == ("text",) else embedders.captions()

    def _mine(self) -> Tensor:
        assert self.frozen is not None
        photo_of_caption = self.pairs.photo_of_caption
        photos = np.arange(len(self.pairs.photos.views))
        trains_image = self.stage.towers == ("image",)
        queries = self.embedders.photos() if trains_image else self.embedders.captions()
        sides = (photos, photo_of_caption)
        teachers = (self.pairs.teacher_images, self.pairs.teacher_texts)
        if not trains_image:
            sides, teachers = sides[::-1], teachers[::-1]
        mined = mine_hard_negatives(
            queries.numpy(), self.frozen.numpy(), sides[0], sides[1],
            count=self.stage.mined,
            teacher_queries=None if teachers[0] is None else teachers[0].float().numpy(),
            teacher_candidates=None if teachers[1] is None else teachers[1].float().numpy(),
        )  # fmt: skip
        return torch.from_numpy(mined)

"""Stage 2: captioned photos; one tower learns against the frozen other, or both jointly."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrieval.compress.data.pairs import Batch, Pairs
from retrieval.compress.data.tokens import hide_tokens, used_tokens
from retrieval.compress.distributed.gather import gathered, own_part
from retrieval.compress.distributed.ranks import from_first, own_noise
from retrieval.compress.losses.step import HardNegatives, Side, Step, inverse_temperature
from retrieval.compress.stages.lessons import PairLesson
from retrieval.compress.stages.settings import Finetune
from retrieval.compress.stages.task import StageTask
from retrieval.compress.teaching.earlier import BestSelf, Snapshots
from retrieval.compress.teaching.hidden import HiddenStates
from retrieval.compress.teaching.mining import mine_hard_negatives
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.tower import Tower


@dataclass(frozen=True)
class Embedders:
    """How to embed all photos or all captions with the present weights, without noise.

    Called by all processes of a run at once, they give the same numbers to all.
    """

    photos: Callable[[], Tensor]
    captions: Callable[[], Tensor]

    def of(self, tower: Tower) -> Callable[[], Tensor]:
        """The one of a tower."""
        return self.photos if tower == "image" else self.captions


class FinetuneTask(StageTask):
    """Pair contrast, a teacher's similarities, hard negatives and whatever else is named.

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
        lessons: Sequence[PairLesson],
        embedders: Embedders,
        judge: Callable[[], Mapping[str, Any]],
        *,
        hidden: Mapping[Tower, HiddenStates],
        seed: int,
    ) -> None:
        super().__init__(stage, model, judge)
        self.captions_per_photo = stage.captions_per_photo
        self.tokenizer = tokenizer
        self.pairs = pairs
        # As modules of the task, these move to the device that the task moves to.
        self.normalise = pairs.photos.normalise
        self.lessons = lessons
        self.lesson_modules = nn.ModuleList(
            part
            for one in lessons
            for part in (one.images, one.texts, one.bridge, one.views)
            if part is not None
        )
        self.hidden = nn.ModuleDict(hidden)
        self.embedders = embedders
        self.seed = seed
        self.steps_per_epoch = pairs.photos.steps_per_epoch
        self.log_scale = nn.Parameter(torch.tensor(-math.log(stage.temperature)))
        self.frozen: Tensor | None = None
        self.mined: Tensor | None = None
        self.best_self = nn.ModuleDict(
            {tower: BestSelf(getattr(model, tower)) for tower in stage.towers}
            if self.losses.self_teacher
            else {}
        )
        self.snapshots = {
            tower: Snapshots(self.losses.snapshots, embedders.of(tower))
            for tower in stage.towers
            if self.losses.snapshots is not None
        }

    def start_epoch(self, epoch: int) -> None:
        if self.frozen is None and len(self.towers) == 1:
            self.frozen = self._embed_frozen()
        if self.losses.hard_negatives:
            self.mined = self._mine()
        for snapshots in self.snapshots.values():
            snapshots.take()

    def judged(self, score: float | None) -> None:
        for tower, best in self.best_self.items():
            best.judged(getattr(self.model, tower), score)

    def extra_state(self) -> dict[str, Any]:
        banks = {tower: one.state_dict() for tower, one in self.snapshots.items()}
        return {"mined": self.mined, "snapshots": banks}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.mined = state["mined"]
        for tower, banks in state["snapshots"].items():
            self.snapshots[tower].load_state_dict(banks)
        if len(self.towers) == 1:
            self.eval()
            self.frozen = self._embed_frozen()

    def batches(self, epoch: int, first: int) -> Iterator[Batch]:
        return self.pairs.batches(
            epoch,
            first,
            captions_per_photo=self.captions_per_photo,
            seed=self.seed,
            pixels="image" in self.towers,
            tokens_for=self.model.config.text if "text" in self.towers else None,
        )

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        images, texts = self._images(batch), self._texts(batch)
        # Cosines divided by a temperature need more digits than mixed precision has.
        with torch.autocast(images.student.device.type, enabled=False):
            return self.losses.of(list(self._steps(images, texts, batch)))

    def _steps(self, images: Side, texts: Side, batch: Batch) -> Iterator[Step]:
        """The batch as each teacher sees it; once when there is none."""
        scale = inverse_temperature(self.log_scale)
        hard = self._hard_negatives(images, texts, batch)
        step = Step(images, texts, photo_of_caption=batch["owner"], scale=scale, hard=hard)
        if not self.lessons:
            yield step
        for lesson in self.lessons:
            yield replace(
                step,
                images=lesson.of_images(images, batch["view"]),
                texts=lesson.of_texts(texts, batch["caption"]),
            )

    def _images(self, batch: Batch) -> Side:
        if "pixels" not in batch:
            return self._frozen_side(batch["photo"])
        return self._side("image", self.pairs.photos.prepare(batch["pixels"], noisy=True), batch)

    def _texts(self, batch: Batch) -> Side:
        if "ids" not in batch:
            return self._frozen_side(batch["caption"])
        rate = self.settings.token_dropout if self.training else 0.0
        # All processes hide tokens of the whole batch, so they go on with the same numbers.
        ids = hide_tokens(batch["ids"], rate, self.tokenizer)
        return self._side("text", ids[own_part(len(ids))], batch)

    def _frozen_side(self, indices: Tensor) -> Side:
        assert self.frozen is not None
        return Side(self.frozen[indices.cpu()].to(indices.device), trained=False)

    def _side(self, tower: Tower, inputs: Tensor, batch: Batch) -> Side:
        """A tower in training on one batch, and what earlier states of it say.

        Args:
            tower: Which one.
            inputs: This process's part of the batch.
            batch: The whole.
        """
        module = getattr(self.model, tower)
        indices = batch["photo" if tower == "image" else "caption"]
        with own_noise():
            own = F.normalize(module(inputs).float(), dim=-1)
        hidden: Sequence[tuple[Tensor, Tensor]] = ()
        if tower in self.hidden:
            is_text = tower == "text"
            used = (
                used_tokens(inputs, self.tokenizer) if is_text else self.pairs.photos.used(inputs)
            )
            hidden = self.hidden[tower](inputs, used)
        best = None
        if tower in self.best_self:
            best = gathered(self.best_self[tower](inputs), len(indices))
        snapshots = self.snapshots[tower].of(indices) if tower in self.snapshots else []
        student = gathered(own, len(indices))
        return Side(student, best_self=best, snapshots=snapshots, hidden=hidden)

    def _hard_negatives(self, images: Side, texts: Side, batch: Batch) -> HardNegatives | None:
        loss = self.losses.hard_negatives
        if loss is None or self.mined is None:
            return None
        assert self.frozen is not None
        of_photo = images.student[batch["owner"]]
        query, positive, row = (
            (of_photo, texts.student, batch["photo"][batch["owner"]])
            if self.towers == ("image",)
            else (texts.student, of_photo, batch["caption"])
        )
        mined = self.mined[row.cpu()]
        drawn = torch.randint(mined.shape[1], (len(mined), loss.negatives))
        return HardNegatives(query, positive, self.frozen[mined.gather(1, drawn)].to(query.device))

    def _embed_frozen(self) -> Tensor:
        return self.embedders.of("image" if self.towers == ("text",) else "text")()

    def _mine(self) -> Tensor:
        assert self.frozen is not None
        assert self.losses.hard_negatives is not None
        photos = np.arange(len(self.pairs.photos.views))
        sides = (photos, self.pairs.captions.group_of_caption)
        teachers = (None, None)
        if self.lessons and self.losses.hard_negatives.filtered:
            first = self.lessons[0]
            teachers = tuple(
                one.embeddings.float().cpu().numpy() for one in (first.images, first.texts)
            )
        if self.towers == ("text",):
            sides, teachers = sides[::-1], teachers[::-1]
        mine = partial(
            mine_hard_negatives,
            self.embedders.of(self.towers[0])().numpy(), self.frozen.numpy(), *sides,
            count=self.losses.hard_negatives.mined,
            teacher_queries=teachers[0],
            teacher_candidates=teachers[1],
        )  # fmt: skip
        return torch.from_numpy(from_first(mine))

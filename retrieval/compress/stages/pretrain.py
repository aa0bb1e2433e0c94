"""Before the photos: the text tower learns which captions speak of the same one."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrieval.compress.data.groups import CaptionGroups
from retrieval.compress.data.order import shuffled_batches
from retrieval.compress.data.tokens import hide_tokens, trimmed
from retrieval.compress.distributed.gather import gathered, own_part
from retrieval.compress.distributed.ranks import own_noise
from retrieval.compress.losses.step import Side, Step, inverse_temperature
from retrieval.compress.stages.settings import Pretrain
from retrieval.compress.stages.task import StageTask
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.dual_encoder import DualEncoder


class PretrainTask(StageTask):
    """Contrast of captions: one of each group stands where its photo would.

    What people write about the same photo differs in words and agrees in what can be seen.
    Captions are easier to come by than photos, and contrast between sentences that mean the
    same is how sentence encoders are trained (Gao et al., SimCSE, EMNLP 2021).

    Args:
        stage: Losses and settings.
        model: The student; only its text tower is trained.
        tokenizer: Its tokenizer.
        groups: Captions by the photo that they describe, two or more of each.
        judge: Gives dev figures of the present weights.
        seed: Of order and captions.
    """

    def __init__(
        self,
        stage: Pretrain,
        model: DualEncoder,
        tokenizer: Tokenizer,
        groups: CaptionGroups,
        judge: Callable[[], Mapping[str, Any]],
        *,
        seed: int,
    ) -> None:
        super().__init__(stage, model, judge)
        self.captions_per_photo = stage.captions_per_photo
        self.tokenizer = tokenizer
        self.groups = groups
        self.seed = seed
        self.steps_per_epoch = len(self._order(0))
        self.log_scale = nn.Parameter(torch.tensor(-math.log(stage.temperature)))

    def batches(self, epoch: int, first: int) -> Iterator[dict[str, Tensor]]:
        for number, some in enumerate(self._order(epoch)[first:], start=first):
            generator = np.random.default_rng([self.seed, epoch, number])
            captions, owner = self.groups.draw(some, self.captions_per_photo, generator)
            ids = trimmed(self.groups.ids[captions], self.model.config.text)
            yield {"ids": ids, "owner": torch.from_numpy(owner)}

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        rate = self.settings.token_dropout if self.training else 0.0
        # All processes hide tokens of the whole batch, so they go on with the same numbers.
        ids = hide_tokens(batch["ids"], rate, self.tokenizer)
        with own_noise():
            own = F.normalize(self.model.text(ids[own_part(len(ids))]).float(), dim=-1)
        captions, owner = gathered(own, len(ids)), batch["owner"]
        is_first = torch.cat([owner.new_ones(1, dtype=torch.bool), owner[1:] != owner[:-1]])
        # Cosines divided by a temperature need more digits than mixed precision has.
        with torch.autocast(captions.device.type, enabled=False):
            step = Step(
                images=Side(captions[is_first]),
                texts=Side(captions[~is_first]),
                photo_of_caption=owner[~is_first],
                scale=inverse_temperature(self.log_scale),
            )
            return self.losses.of([step])

    def _order(self, epoch: int) -> list[list[int]]:
        size = self.settings.batch_size
        return shuffled_batches(len(self.groups), size, seed=self.seed, epoch=epoch)

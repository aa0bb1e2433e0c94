"""Stage 1: one tower learns to give the teacher's embeddings, from unpaired items."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from retrieval.compress.bridge import Bridge
from retrieval.compress.data.inputs import Inputs
from retrieval.compress.losses.contrastive import contrastive_distillation
from retrieval.compress.losses.regression import embedding_regression
from retrieval.compress.stages.settings import Distil
from retrieval.compress.task import Task
from retrieval.models.dual_encoder import DualEncoder


class DistilTask(Task):
    """Contrastive and regression losses of one tower against cached teacher embeddings.

    Args:
        stage: Weights and settings.
        model: The student; only ``stage.tower`` is trained.
        bridge: From the student's space to the teacher's.
        inputs: Photos or sentences.
        targets: The teacher's embedding of each item, ``(n, teacher_dim)``.
        judge: Gives dev figures of the present weights.
    """

    def __init__(
        self,
        stage: Distil,
        model: DualEncoder,
        bridge: Bridge,
        inputs: Inputs,
        targets: Tensor,
        judge: Callable[[], Mapping[str, Any]],
    ) -> None:
        super().__init__()
        self.settings = stage.training
        self.stage = stage
        self.inputs = inputs
        self.steps_per_epoch = inputs.steps_per_epoch
        self.judge = judge
        self.model = model
        self.bridge = bridge
        other = model.text if stage.tower == "image" else model.image
        other.requires_grad_(False)
        self.targets: Tensor
        self.register_buffer("targets", targets, persistent=False)

    def batches(self, epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        return self.inputs.batches(epoch, first)

    def forward(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        indices, inputs = batch
        student = self.bridge(self.inputs.encode(self.model, inputs).float())
        # Cosines divided by a temperature need more digits than mixed precision has.
        with torch.autocast(student.device.type, enabled=False):
            return self._losses(F.normalize(student, dim=-1), self._teacher(indices))

    def _losses(self, student: Tensor, teacher: Tensor) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        if self.stage.contrastive:
            losses["contrastive"] = self.stage.contrastive * contrastive_distillation(
                student, teacher, self._bank(), self.stage.temperature
            )
        if self.stage.regression:
            losses["regression"] = self.stage.regression * embedding_regression(student, teacher)
        return losses

    def evaluate(self) -> Mapping[str, Any]:
        return self.judge()

    def _bank(self) -> Tensor | None:
        if not self.stage.bank:
            return None
        count = len(self.targets)
        drawn = torch.randint(count, (min(self.stage.bank, count),), device=self.targets.device)
        return self._teacher(drawn)

    def _teacher(self, indices: Tensor) -> Tensor:
        # The cache keeps half precision, in which lengths are one to three digits.
        return F.normalize(self.targets[indices].float(), dim=-1)

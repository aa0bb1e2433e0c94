"""Stage 1: one tower learns to give the teacher's embeddings, from unpaired items."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrieval.compress.data.inputs import Inputs
from retrieval.compress.distributed.gather import gathered
from retrieval.compress.distributed.ranks import own_noise
from retrieval.compress.losses.step import Side, Step
from retrieval.compress.stages.lessons import Lesson
from retrieval.compress.stages.settings import Distil
from retrieval.compress.stages.task import StageTask
from retrieval.compress.teaching.earlier import Snapshots
from retrieval.compress.teaching.hidden import HiddenStates
from retrieval.models.dual_encoder import DualEncoder


class DistilTask(StageTask):
    """Losses of one tower against cached teacher embeddings.

    Args:
        stage: Losses and settings.
        model: The student; only ``stage.tower`` is trained.
        lessons: Of each teacher.
        inputs: Photos or sentences.
        judge: Gives dev figures of the present weights.
        hidden: Runs the teacher's tower, where a loss asks for its hidden states.
        snapshots: Earlier embeddings of the items, where a loss asks for them.
    """

    def __init__(
        self,
        stage: Distil,
        model: DualEncoder,
        lessons: Sequence[Lesson],
        inputs: Inputs,
        judge: Callable[[], Mapping[str, Any]],
        *,
        hidden: HiddenStates | None = None,
        snapshots: Snapshots | None = None,
    ) -> None:
        super().__init__(stage, model, judge)
        self.tower = stage.tower
        self.inputs = inputs
        self.steps_per_epoch = inputs.steps_per_epoch
        self.bridges = nn.ModuleList(lesson.bridge for lesson in lessons)
        # As modules of the task, buffers move to the device that the task moves to.
        self.targets = nn.ModuleList(lesson.targets for lesson in lessons)
        self.unrelated = nn.ModuleList(lesson.unrelated for lesson in lessons if lesson.unrelated)
        self.hidden = hidden
        self.snapshots = snapshots

    def start_epoch(self, epoch: int) -> None:
        if self.snapshots is not None:
            self.snapshots.take()

    def batches(self, epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        return self.inputs.batches(epoch, first)

    def forward(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        indices, given = batch
        inputs = self.inputs.prepare(given, noisy=self.training)
        with own_noise():
            own = self.inputs.embed(self.model, inputs).float()
        student = gathered(own, len(indices))
        matched = [] if self.hidden is None else self.hidden(inputs, self.inputs.used(inputs))
        # Cosines divided by a temperature need more digits than mixed precision has.
        with torch.autocast(student.device.type, enabled=False):
            return self.losses.of(list(self._steps(student, indices, matched)))

    def extra_state(self) -> dict[str, Any]:
        return {} if self.snapshots is None else {"snapshots": self.snapshots.state_dict()}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        if self.snapshots is not None:
            self.snapshots.load_state_dict(state["snapshots"])

    def _steps(
        self, student: Tensor, indices: Tensor, hidden: Sequence[tuple[Tensor, Tensor]]
    ) -> Iterator[Step]:
        """The batch as each teacher sees it."""
        embeddings = F.normalize(student, dim=-1)
        snapshots = [] if self.snapshots is None else self.snapshots.of(self.inputs.items(indices))
        for number, (bridge, targets) in enumerate(zip(self.bridges, self.targets, strict=True)):
            taught = targets.taught(embeddings, indices, bridge)
            side = Side(embeddings, taught=taught, snapshots=snapshots, hidden=hidden)
            unrelated = self.unrelated[number].draw if len(self.unrelated) else None
            if self.tower == "image":
                yield Step(images=side, unrelated=unrelated)
            else:
                yield Step(texts=side, unrelated=unrelated)

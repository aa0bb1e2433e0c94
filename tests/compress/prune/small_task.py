"""A task on random inputs, and a loop as plain as the real one lets it be."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from retrieval.compress.loop.modifier import Modifier
from retrieval.compress.loop.settings import Training
from retrieval.compress.loop.task import Task
from retrieval.models.dual_encoder import DualEncoder
from tests.tiny import CONTEXT, SIZE

Batch = tuple[Tensor, Tensor, Tensor]


class SmallTask(Task):
    """Both towers learn to give random directions, the same in every epoch."""

    def __init__(self, model: DualEncoder, towers: tuple[str, ...] = ("image", "text")) -> None:
        super().__init__()
        self.settings = Training()
        self.model = model
        self.towers = towers
        self.steps_per_epoch = 4
        for tower in ("image", "text"):
            getattr(model, tower).requires_grad_(tower in towers)

    def batches(self, epoch: int, first: int) -> Iterator[Batch]:
        for number in range(first, self.steps_per_epoch):
            yield batch(number, self.model)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        pixels, ids, wanted = batch
        losses = {}
        if "image" in self.towers:
            losses["image"] = -(self.model.encode_image(pixels) * wanted).sum(dim=-1).mean()
        if "text" in self.towers:
            losses["text"] = -(self.model.encode_text(ids) * wanted).sum(dim=-1).mean()
        return losses

    def evaluate(self) -> Mapping[str, Any]:
        return {"score": -sum(loss.item() for loss in self(batch(99, self.model)).values())}


def batch(number: int, model: DualEncoder) -> Batch:
    random = torch.Generator().manual_seed(number)
    ids = torch.randint(1, 200, (6, CONTEXT), generator=random)
    ids[:, -1] = model.config.tokens.end_id
    wanted = torch.randn(6, model.config.embedding_dim, generator=random)
    return torch.randn(6, 3, SIZE, SIZE, generator=random), ids, F.normalize(wanted, dim=-1)


class SmallLoop:
    """AdamW, and the calls of a modifier in the order that `Modifier` promises."""

    def __init__(self, task: SmallTask, modifier: Modifier, total: int) -> None:
        self.task, self.modifier, self.total, self.step = task, modifier, total, 0
        modifier.start(task, total)
        trained = [one for one in task.parameters() if one.requires_grad]
        self.optimiser = torch.optim.AdamW(trained, lr=3e-3)

    def run(self, steps: int | None = None) -> None:
        for _ in range(steps or self.total - self.step):
            epoch, first = divmod(self.step, self.task.steps_per_epoch)
            self.task.train()
            self.modifier.before_forward(self.step)
            losses = self.task(next(self.task.batches(epoch, first)))
            losses |= self.modifier.losses(self.step)
            torch.stack(list(losses.values())).sum().backward()
            self.modifier.before_step(self.step, 3e-3)
            self.optimiser.step()
            self.modifier.after_step(self.step)
            self.optimiser.zero_grad()
            self.step += 1

    def embeddings(self, *, as_shipped: bool = True) -> Tensor:
        """Of some photos and sentences, ``(12, dim)``."""
        self.task.eval()
        pixels, ids, _ = batch(99, self.task.model)
        with self.modifier.evaluating() if as_shipped else nullcontext(), torch.no_grad():
            model = self.task.model
            return torch.cat([model.encode_image(pixels), model.encode_text(ids)])

    def state(self) -> dict[str, Any]:
        return {
            "task": {name: one.clone() for name, one in self.task.state_dict().items()},
            "optimiser": self.optimiser.state_dict(),
            "modifier": self.modifier.state_dict(),
            "step": self.step,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        self.task.load_state_dict(state["task"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.modifier.load_state_dict(state["modifier"])
        self.step = state["step"]

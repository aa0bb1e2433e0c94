"""Earlier states of a model in training: its best one so far, and snapshots of epochs."""

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrieval.compress.losses.snapshots import SnapshotContrast
from retrieval.compress.losses.step import Snapshot


class BestSelf(nn.Module):
    """A frozen copy of a tower as it was when dev recall was best (PINS).

    Args:
        tower: In training; its present state is the first teacher.
    """

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.score = -math.inf
        self._keep(tower)

    def judged(self, tower: nn.Module, score: float | None) -> None:
        """Replace the copy when ``score`` is the best so far; without one, always."""
        if score is None or score > self.score:
            self.score = self.score if score is None else score
            self._keep(tower)

    @torch.no_grad()
    def forward(self, inputs: Tensor) -> Tensor:
        """Embeddings of length one, ``(batch, dim)``."""
        self.tower.eval()
        return F.normalize(self.tower(inputs).float(), dim=-1)

    def get_extra_state(self) -> dict[str, float]:
        """The score travels with the weights."""
        return {"score": self.score}

    def set_extra_state(self, state: Mapping[str, float]) -> None:
        """Take back the score."""
        self.score = state["score"]

    def _keep(self, tower: nn.Module) -> None:
        self.tower = copy.deepcopy(tower).requires_grad_(False).eval()


class Snapshots:
    """Embeddings of a whole corpus by the model at the start of each epoch (CAP's banks).

    Args:
        loss: Says how many to keep.
        embed: Embeds the corpus with present weights, ``(items, dim)``.
    """

    def __init__(self, loss: SnapshotContrast, embed: Callable[[], Tensor]) -> None:
        self.loss = loss
        self.embed = embed
        self.banks: list[Tensor] = []

    def take(self) -> None:
        """Add the present state; the first one stays, of later ones the latest."""
        self.banks.append(self.embed().half())
        if len(self.banks) > 1 + self.loss.kept:
            del self.banks[1]

    def of(self, indices: Tensor) -> list[Snapshot]:
        """A batch's items ``(batch,)`` as each kept state saw them."""
        return [
            Snapshot(
                own=_rows(bank, indices),
                bank=lambda count, bank=bank, device=indices.device: _drawn(bank, count, device),
                first=number == 0,
            )
            for number, bank in enumerate(self.banks)
        ]

    def state_dict(self) -> dict[str, Any]:
        """For resuming."""
        return {"banks": self.banks}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.banks = list(state["banks"])


def _rows(bank: Tensor, indices: Tensor) -> Tensor:
    return F.normalize(bank[indices.cpu()].float(), dim=-1).to(indices.device)


def _drawn(bank: Tensor, count: int, device: torch.device) -> Tensor:
    rows = torch.randint(len(bank), (min(count, len(bank)),))
    return _rows(bank, rows).to(device)

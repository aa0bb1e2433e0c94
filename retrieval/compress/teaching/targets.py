"""A teacher's embeddings of a corpus, as targets and as a memory bank."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrieval.compress.losses.step import Taught
from retrieval.compress.teaching.bridge import Bridge


class Targets(nn.Module):
    """Embeddings ``(items, dim)`` that move to the device of the task that holds them.

    Args:
        embeddings: Of the whole corpus in half precision, in which lengths are one to three
            digits; they come out in single precision and of length one.
    """

    def __init__(self, embeddings: Tensor) -> None:
        super().__init__()
        self.embeddings: Tensor
        self.register_buffer("embeddings", embeddings, persistent=False)

    def forward(self, indices: Tensor) -> Tensor:
        """Rows by index, ``(batch,)`` to ``(batch, dim)``."""
        return F.normalize(self.embeddings[indices].float(), dim=-1)

    def draw(self, count: int) -> Tensor:
        """Random rows, with repetition; at most as many as there are, ``(count, dim)``."""
        items = len(self.embeddings)
        size = (min(count, items),)
        drawn: Tensor = self(torch.randint(items, size, device=self.embeddings.device))
        return drawn

    def taught(self, student: Tensor | None, indices: Tensor, bridge: Bridge | None) -> Taught:
        """A batch in the teacher's space.

        Args:
            student: The student's embeddings ``(batch, student_dim)``, or None where only
                the teacher's own matter.
            indices: The items of the batch, ``(batch,)``.
            bridge: Leads to the teacher's space; None when nothing does.
        """
        crossed = None
        if student is not None and bridge is not None:
            crossed = F.normalize(bridge(student).float(), dim=-1)
        return Taught(crossed, self(indices), self.draw)

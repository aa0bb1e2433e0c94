"""What one training step offers to its losses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch.nn.functional as F
from torch import Tensor

# CLIP's bound on the inverse temperature; beyond it the loss becomes unstable.
_LARGEST_SCALE = 100.0


@dataclass(frozen=True)
class Taught:
    """One modality of a batch in a teacher's space.

    Attributes:
        student: The student's embeddings there, length one, ``(n, teacher_dim)``; None
            when nothing leads from the student's space to the teacher's.
        teacher: The teacher's own embeddings of the same items, ``(n, teacher_dim)``.
        bank: Draws that many of the teacher's embeddings of the whole corpus,
            ``(count, teacher_dim)``.
    """

    student: Tensor | None
    teacher: Tensor
    bank: Callable[[int], Tensor]


@dataclass(frozen=True)
class Snapshot:
    """One modality of a batch as an earlier state of the student embedded it.

    Attributes:
        own: Embeddings of the same items, ``(n, dim)``.
        bank: Draws that many of its embeddings of the whole corpus, ``(count, dim)``.
        first: Whether it is the model as the stage was given it.
    """

    own: Tensor
    bank: Callable[[int], Tensor]
    first: bool


@dataclass(frozen=True)
class Side:
    """One modality of a batch.

    Attributes:
        student: Embeddings of length one, ``(n, dim)``.
        trained: Whether its tower learns in this stage.
        taught: The same in the teacher's space, or None without a teacher.
        best_self: Embeddings by the best earlier state of the student, ``(n, dim)``, or None.
        snapshots: The same items by earlier states of the student.
        hidden: Student's and teacher's hidden states of matched layers, each
            ``(n, length, width)``, the student's already projected to the teacher's width.
    """

    student: Tensor
    trained: bool = True
    taught: Taught | None = None
    best_self: Tensor | None = None
    snapshots: Sequence[Snapshot] = ()
    hidden: Sequence[tuple[Tensor, Tensor]] = ()


@dataclass(frozen=True)
class HardNegatives:
    """Mined wrong items of the frozen tower.

    Attributes:
        query: Embeddings of the tower in training, ``(queries, dim)``.
        positive: What belongs to each query, ``(queries, dim)``.
        negatives: What does not, ``(queries, count, dim)``.
    """

    query: Tensor
    positive: Tensor
    negatives: Tensor


@dataclass(frozen=True)
class Step:
    """A batch as losses see it; unpaired stages have one side, paired stages both.

    Attributes:
        images: Photos of the batch.
        texts: Sentences of the batch.
        photo_of_caption: Row of each caption's photo, ``(captions,)``; None when the items
            do not belong together.
        scale: The learned inverse temperature, a scalar; None in unpaired stages.
        hard: Mined negatives, where a loss asks for them.
        unrelated: Draws that many of the teacher's embeddings of the other modality's
            corpus, ``(count, teacher_dim)``.
    """

    images: Side | None = None
    texts: Side | None = None
    photo_of_caption: Tensor | None = None
    scale: Tensor | None = None
    hard: HardNegatives | None = None
    unrelated: Callable[[int], Tensor] | None = None

    @property
    def sides(self) -> list[Side]:
        """The sides whose towers learn."""
        return [one for one in (self.images, self.texts) if one is not None and one.trained]

    @property
    def pair(self) -> tuple[Side, Side]:
        """Photos and captions that belong together."""
        assert self.images is not None
        assert self.texts is not None
        return self.images, self.texts

    @cached_property
    def similarity(self) -> Tensor:
        """The student's cosines, ``(photos, captions)``."""
        images, texts = self.pair
        return images.student @ texts.student.T

    @property
    def taught(self) -> tuple[Taught, Taught]:
        """Both sides in the teacher's space."""
        images, texts = (side.taught for side in self.pair)
        assert images is not None
        assert texts is not None
        return images, texts

    def prefix(self, dim: int) -> "Step":
        """The same step with embeddings cut to their first ``dim`` numbers (Matryoshka).

        Losses in a teacher's space or on hidden states do not depend on prefixes and are
        left out: their sides have no teacher's space any more but its similarities remain.
        """
        return replace(
            self,
            images=_cut(self.images, dim),
            texts=_cut(self.texts, dim),
            hard=None if self.hard is None else _cut_hard(self.hard, dim),
        )


def inverse_temperature(log_scale: Tensor) -> Tensor:
    """What cosines are multiplied by, from the logarithm that is learned; a scalar."""
    return log_scale.exp().clamp(max=_LARGEST_SCALE)


def _cut(side: Side | None, dim: int) -> Side | None:
    if side is None:
        return None
    taught = None if side.taught is None else replace(side.taught, student=None)
    return Side(F.normalize(side.student[:, :dim], dim=-1), side.trained, taught)


def _cut_hard(hard: HardNegatives, dim: int) -> HardNegatives:
    parts = (hard.query, hard.positive, hard.negatives)
    return HardNegatives(*(F.normalize(part[..., :dim], dim=-1) for part in parts))

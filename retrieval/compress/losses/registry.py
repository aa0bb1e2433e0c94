"""Every loss by the name that recipes give it."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Self

import torch
from pydantic import model_validator
from torch import Tensor

from retrieval.compress.losses.affinity import AffinityMimicking
from retrieval.compress.losses.contrastive import ContrastiveDistillation
from retrieval.compress.losses.hard_negatives import HardNegativeContrast
from retrieval.compress.losses.hidden import HiddenRegression
from retrieval.compress.losses.interactive import InteractiveContrastive
from retrieval.compress.losses.loss import Loss, Need
from retrieval.compress.losses.matryoshka import Matryoshka
from retrieval.compress.losses.pairs import PairContrastive
from retrieval.compress.losses.regression import EmbeddingRegression
from retrieval.compress.losses.self_teacher import SelfRegularisation
from retrieval.compress.losses.snapshots import SnapshotContrast
from retrieval.compress.losses.step import Step
from retrieval.compress.losses.unpaired import UnpairedDistillation
from retrieval.spec.base import Spec


class Losses(Spec):
    """The losses of a stage; those that are left out, or have weight 0, take no part."""

    contrastive: ContrastiveDistillation | None = None
    regression: EmbeddingRegression | None = None
    unpaired: UnpairedDistillation | None = None
    hidden: HiddenRegression | None = None
    pairs: PairContrastive | None = None
    affinity: AffinityMimicking | None = None
    interactive: InteractiveContrastive | None = None
    hard_negatives: HardNegativeContrast | None = None
    self_teacher: SelfRegularisation | None = None
    snapshots: SnapshotContrast | None = None
    matryoshka: Matryoshka | None = None

    # What a prefix of the student's embedding can be held to: cosines, not a teacher's space.
    _of_prefixes: ClassVar[tuple[str, ...]] = ("pairs", "affinity", "hard_negatives")

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        named = dict(self.named())
        if not named:
            raise ValueError("every loss has weight 0 or is left out: nothing to learn")
        if self.matryoshka is not None and not named.keys() & set(self._of_prefixes):
            raise ValueError(
                f"matryoshka applies {', '.join(self._of_prefixes)} to prefixes; name one of them"
            )
        return self

    def named(self) -> Iterator[tuple[str, Loss]]:
        """Those that take part."""
        for name in type(self).model_fields:
            loss = getattr(self, name)
            if isinstance(loss, Loss) and loss.weight:
                yield name, loss

    def needing(self, need: Need) -> list[str]:
        """Names of those that need something of the stage."""
        return [name for name, loss in self.named() if need in loss.needs]

    def of(self, steps: Sequence[Step]) -> dict[str, Tensor]:
        """Weighted values by name; those of prefixes are called ``pairs@64``.

        Args:
            steps: One batch as each teacher sees it, or a single step without a teacher.
                Losses that follow a teacher are averaged over them (MobileCLIP).
        """
        values = dict(self._whole(steps))
        if self.matryoshka is not None and self.matryoshka.weight:
            for dim in self.matryoshka.dims:
                prefixes = [step.prefix(dim) for step in steps]
                values |= {
                    f"{name}@{dim}": self.matryoshka.weight * value
                    for name, value in self._whole(prefixes, self._of_prefixes)
                }
        return values

    def _whole(
        self, steps: Sequence[Step], only: tuple[str, ...] | None = None
    ) -> Iterator[tuple[str, Tensor]]:
        for name, loss in self.named():
            if only is None or name in only:
                seen = steps if "teacher" in loss.needs else steps[:1]
                yield name, loss.weight * torch.stack([loss(step) for step in seen]).mean()

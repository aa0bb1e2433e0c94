"""What a recipe says of its stages."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from retrieval.compress.elastic.settings import Elastic
from retrieval.compress.loop.settings import Training
from retrieval.compress.losses.affinity import AffinityMimicking
from retrieval.compress.losses.contrastive import ContrastiveDistillation
from retrieval.compress.losses.pairs import PairContrastive
from retrieval.compress.losses.registry import Losses
from retrieval.compress.losses.regression import EmbeddingRegression
from retrieval.compress.prune.settings import Prune
from retrieval.compress.quantise.settings import Quantise
from retrieval.spec.base import Spec
from retrieval.spec.tower import TOWERS, Tower

_MODIFIERS = ("prune", "quantise", "elastic")


class TrainingStage(Spec):
    """What every stage that trains has: losses, settings of the loop."""

    losses: Losses
    training: Training = Training()
    prune: Prune | None = None
    """Take units out, or zero weights, while the stage trains."""
    quantise: Quantise | None = None
    """Train weights on the grid of the exported model."""
    elastic: Elastic | None = None
    """Train smaller models inside the model, to be cut out later."""

    @property
    def kind(self) -> str:
        """What the stage is called: what changes the model, or else how it trains."""
        return next(iter(self._changes()), getattr(self, "stage", ""))

    @model_validator(mode="after")
    def _one_change_at_a_time(self) -> Self:
        if len(named := self._changes()) > 1:
            raise ValueError(f"{' and '.join(named)} cannot share a stage; give each its own")
        return self

    def _changes(self) -> list[str]:
        return [name for name in _MODIFIERS if getattr(self, name) is not None]


class Pretrain(TrainingStage):
    """Before the photos: the text tower learns which captions speak of the same one."""

    stage: Literal["pretrain"]
    losses: Losses = Losses(pairs=PairContrastive())
    captions_per_photo: Annotated[int, Field(ge=2)] = 2
    """Of each group in a batch; one stands for the photo, the others belong to it."""
    temperature: Annotated[float, Field(gt=0)] = 0.05
    """Start of the learned temperature of the contrastive loss."""

    @property
    def towers(self) -> tuple[Tower, ...]:
        """The tower that learns."""
        return ("text",)

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        unfit = [name for name, _ in self.losses.named() if name not in ("pairs", "matryoshka")]
        if unfit:
            raise ValueError(
                f"losses.{unfit[0]} needs photos or a teacher, which stage pretrain does not use; "
                "it knows pairs and matryoshka"
            )
        return self


class Distil(TrainingStage):
    """Stage 1: one tower learns the teacher's embeddings, without pairs."""

    stage: Literal["distil"]
    tower: Tower
    losses: Losses = Losses(contrastive=ContrastiveDistillation(), regression=EmbeddingRegression())

    @property
    def towers(self) -> tuple[Tower, ...]:
        """The tower that learns."""
        return (self.tower,)

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        if paired := self.losses.needing("pairs"):
            raise ValueError(
                f"losses.{paired[0]} needs captioned pairs, which stage distil does not use; "
                "move it to a stage finetune"
            )
        return self


class Finetune(TrainingStage):
    """Stage 2: captioned photos, one tower against the frozen other, or both jointly."""

    stage: Literal["finetune"]
    towers: tuple[Tower, ...]
    losses: Losses = Losses(pairs=PairContrastive(), affinity=AffinityMimicking())
    captions_per_photo: Annotated[int, Field(ge=1)] = 1
    temperature: Annotated[float, Field(gt=0)] = 0.05
    """Start of the learned temperature of the contrastive losses."""

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        if not self.towers or len(set(self.towers)) != len(self.towers):
            raise ValueError("towers must be [image], [text] or [image, text]")
        if self.losses.needing("frozen tower") and len(self.towers) == 2:
            raise ValueError(
                "losses.hard_negatives needs one tower frozen: an index of moving embeddings "
                "would be stale; leave it out or train one tower"
            )
        return self


class Factorise(Spec):
    """Matrices become products of two thin ones: dense, so fast everywhere (LPAF).

    It trains nothing: a stage after pruning, whose matrices are nearly of low rank, and
    before one that lets the factors settle (Ren and Zhu, LREC-COLING 2024).
    """

    stage: Literal["factorise"]
    towers: tuple[Tower, ...]
    rank: Annotated[int, Field(ge=8, multiple_of=8)] | None = None
    """Inner size of every factorised matrix."""
    energy: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Or the share of each matrix's squared singular values that its factors keep."""
    embedding_rank: Annotated[int, Field(ge=8, multiple_of=8)] | None = None
    """Also factorise the token embedding, to this inner size."""

    @property
    def kind(self) -> str:
        """What the stage is called."""
        return self.stage

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        if self.rank is not None and self.energy is not None:
            raise ValueError("rank and energy say the same in two ways; leave one out")
        if self.rank is None and self.energy is None and self.embedding_rank is None:
            raise ValueError("give rank, energy or embedding_rank: nothing to factorise")
        if self.embedding_rank is not None and "text" not in self.towers:
            raise ValueError("embedding_rank is of the text tower, which towers does not name")
        return self


class Average(Spec):
    """Weights become the mean of the student's and of its relatives' (a model soup).

    It trains nothing. Models that were trained on from one another lie in one valley of the
    loss, and the mean of their weights errs less than each of them, at the cost of one
    (Wortsman et al., "Model soups", ICML 2022). Two seeds of one recipe need not:
    of ours, the mean found less than either.
    """

    stage: Literal["average"]
    checkpoints: Annotated[tuple[Path, ...], Field(min_length=1)]
    """Of the student's shape and vocabulary; each counts as much as the student."""

    @property
    def kind(self) -> str:
        """What the stage is called."""
        return self.stage

    @property
    def towers(self) -> tuple[Tower, ...]:
        """The towers that change."""
        return TOWERS

    def located(self, base: Path) -> Self:
        """The same with relative paths counted from ``base``."""
        checkpoints = tuple(base / path for path in self.checkpoints)
        return self.model_copy(update={"checkpoints": checkpoints})


Trained = Pretrain | Distil | Finetune
"""Stages that train."""

Stage = Annotated[Trained | Factorise | Average, Field(discriminator="stage")]

"""What a recipe says of its student: shape, vocabulary and starting weights."""

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from retrieval.compress.loop.settings import Weight
from retrieval.spec.base import Spec
from retrieval.spec.model import (
    ImageTowerSpec,
    ModelConfig,
    TextTower,
    TimmTower,
    VitTower,
    Width,
)
from retrieval.spec.preprocessing import Preprocessing
from retrieval.spec.text import TextSpec

TEACHER: Final = "teacher"
"""The source that stands for the recipe's teacher; a folder of that name is ``./teacher``."""
TIMM: Final = "timm:"
"""What the name of pretrained weights from timm's hub starts with."""
STOCK: Final = ("open_clip:", "hf:", TIMM)
"""What the name of a whole model that others trained starts with; see `retrieval.models.stock`."""
LARGEST_CORRELATED: Final = 16_384
"""Most tokens for a closed-form start, which inverts a matrix of them: 2 GB in double precision."""

Source = Annotated[str, Field(min_length=1)]
"""``teacher``, a checkpoint folder, ``open_clip:MODEL/PRETRAINED`` or ``hf:ORG/NAME``."""


class Vocabulary(Spec):
    """Which tokens the student reads."""

    model_config = ConfigDict(serialize_by_alias=True)

    size: Annotated[int, Field(ge=1024)] | Literal["clip", "whole", "used"] = "clip"
    """``clip``: CLIP's 49,408 tokens. A number: that many, trained on the recipe's own
    sentences and captions. The token embedding is most of a text tower's bytes.

    With ``from``, tokens of that model. ``whole``: all of them. ``used``: those that the
    recipe's sentences and captions need, which are then read exactly as before. A number: at
    most that many, the most frequent. Bytes are always kept, so any sentence can be read."""
    context_length: Annotated[int, Field(ge=8, le=1024)] = 77
    source: Source | None = Field(None, alias="from")

    @model_validator(mode="after")
    def _size_suits_source(self) -> Self:
        if self.source is None and self.size in ("whole", "used"):
            raise ValueError(f"size: {self.size} needs from, the model whose tokens are kept")
        if self.source is not None and self.size == "clip":
            raise ValueError("from needs a size: whole, used, or a number of tokens")
        return self

    @property
    def known_size(self) -> int | None:
        """The largest number of tokens there can be; None when the source decides."""
        if isinstance(self.size, int):
            return self.size
        return 49_408 if self.size == "clip" else None


class CanonicalCorrelation(Spec):
    """Closed-form start of both projections from captioned photos (regularised CCA)."""

    image_ridge: Annotated[float, Field(gt=0)] = 0.1
    text_ridge: Annotated[float, Field(gt=0)] = 0.1
    power: Weight = 1.0
    """Directions are weighted by their correlation to this power."""


class Inherited(Spec):
    """Blocks of another model's transformer tower, made narrower where the student is.

    Layers are picked first, then in each of them heads and neurons, and hidden dimensions for
    all of them together (ETD, width-wise extraction and uniform layers; TinyCLIP's manual
    inheritance). Where the student is as wide as the source, nothing is left out.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    source: Source = Field(TEACHER, alias="from")
    pick: (
        Literal["uniform", "first", "last"]
        | Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
    ) = "uniform"
    """Layers, counted from 1. ``uniform``: layer ``m N / M`` for the ``m``-th of ``M``
    student layers out of ``N``, rounded (TinyBERT); its last is always the source's last."""
    width: Literal["importance", "leading", "random"] = "importance"
    """What is kept of a wider source: the units that score highest (ETD-Impt), the first, or
    a choice by the recipe's seed (ETD-Rand)."""
    criterion: Literal["taylor", "magnitude"] = "taylor"
    """``taylor``: first-order change of the source's own distillation loss, on
    ``samples`` captions (photos for an image tower) of the recipe. ``magnitude``: norm of the
    weights."""
    samples: Annotated[int, Field(ge=8)] = 512

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if not isinstance(self.pick, str) and list(self.pick) != sorted(set(self.pick)):
            raise ValueError(f"pick must name each layer once, in order, not {list(self.pick)}")
        return self


class Start(Spec):
    """Where the student's weights come from; random where nothing is said."""

    image_weights: tuple[Source, ...] = ()
    """Weights of each timm backbone: ``timm:NAME`` (timm downloads them), a file, with or
    without a classifier, or a checkpoint folder, for example the teacher's, whose first
    fitting backbone is inherited."""
    checkpoint: Path | None = None
    """A checkpoint of the same shape to go on from; excludes the other starts."""
    canonical_correlation: CanonicalCorrelation | None = None
    text_layers: Inherited | None = None
    """The text tower's start: blocks, norms, positions and token embedding of another model;
    its projections where their dimensions fit."""
    image_layers: Inherited | None = None
    """The same for an image tower of kind vit."""
    freeze_token_embedding: bool = False
    """Keep the copied token embedding as it is in every stage (LightMBERT)."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        others = (
            self.image_weights,
            self.canonical_correlation,
            self.text_layers,
            self.image_layers,
        )
        if self.checkpoint is not None and any(others):
            raise ValueError("checkpoint already sets every weight; leave the other starts out")
        if self.canonical_correlation and self.text_layers:
            raise ValueError(
                "canonical_correlation and text_layers both set the token embedding; leave one out"
            )
        if self.freeze_token_embedding and not (self.text_layers or self.checkpoint):
            raise ValueError(
                "freeze_token_embedding needs text_layers or checkpoint to copy it from"
            )
        return self

    def located(self, base: Path) -> Self:
        """The same with relative paths counted from ``base``."""
        layers = {
            key: value and value.model_copy(update={"source": _located(value.source, base)})
            for key, value in (
                ("text_layers", self.text_layers),
                ("image_layers", self.image_layers),
            )
        }
        weights = tuple(_located(source, base) for source in self.image_weights)
        checkpoint = base / self.checkpoint if self.checkpoint else None
        update = {"image_weights": weights, "checkpoint": checkpoint, **layers}
        return self.model_copy(update=update)


class Student(Spec):
    """Shape and start of the model that is trained."""

    name: str
    embedding_dim: Width
    image: ImageTowerSpec
    text: TextTower
    preprocessing: Preprocessing
    vocabulary: Vocabulary = Vocabulary()
    start: Start = Start()

    @model_validator(mode="after")
    def _starts_suit_towers(self) -> Self:
        if self.start.image_layers and not isinstance(self.image, VitTower):
            raise ValueError("start.image_layers needs an image tower of kind vit")
        if self.start.image_weights and not isinstance(self.image, TimmTower):
            raise ValueError("start.image_weights needs an image tower of kind timm")
        if self.start.checkpoint is not None and self.vocabulary.source is not None:
            raise ValueError("start.checkpoint brings its vocabulary; leave vocabulary.from out")
        return self

    def located(self, base: Path) -> Self:
        """The same with relative paths counted from ``base``."""
        source = self.vocabulary.source
        if source is not None:
            source = _located(source, base)
        update = {
            "start": self.start.located(base),
            "vocabulary": self.vocabulary.model_copy(update={"source": source}),
        }
        return self.model_copy(update=update)

    def config(self, tokens: TextSpec) -> ModelConfig:
        """The model of this shape that reads ``tokens``."""
        return ModelConfig(
            name=self.name,
            embedding_dim=self.embedding_dim,
            image=self.image,
            text=self.text,
            preprocessing=self.preprocessing,
            tokens=tokens,
        )

    @property
    def needs_teacher(self) -> bool:
        """Whether a start takes something from the recipe's teacher."""
        layers = (self.start.text_layers, self.start.image_layers)
        sources = [self.vocabulary.source, *(one.source for one in layers if one)]
        return TEACHER in sources

    @property
    def frozen(self) -> tuple[str, ...]:
        """Prefixes of the parameters that no stage trains."""
        return ("text.token_embedding.",) if self.start.freeze_token_embedding else ()


def _located(source: str, base: Path) -> str:
    if source == TEACHER or source.startswith(STOCK):
        return source
    return str(base / source)

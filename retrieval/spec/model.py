"""The shape of a dual encoder: what ``config.json`` of a checkpoint says."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from retrieval.spec.base import Spec
from retrieval.spec.preprocessing import Preprocessing
from retrieval.spec.quantisation import Quantisation
from retrieval.spec.text import TextSpec

CHECKPOINT_FORMAT: Final = 1

Width = Annotated[int, Field(ge=8, le=8192, multiple_of=8)]
Channels = Annotated[int, Field(ge=1)]

LinearName = Literal["query", "key", "value", "output", "up", "down"]


class Ranks(Spec):
    """Ranks of one layer's linear maps that are stored as two factors; None: whole."""

    query: Width | None = None
    key: Width | None = None
    value: Width | None = None
    output: Width | None = None
    up: Width | None = None
    down: Width | None = None


class Transformer(Spec):
    """Blocks of one transformer; heads and neurons are listed per layer.

    Listing them per layer is what lets pruning take whole heads and neurons out: a pruned
    tower is the same class with smaller numbers. In a recipe, ``layers`` with plain numbers
    is enough: ``{width: 256, layers: 4, heads: 4, neurons: 1024}``.
    """

    width: Width
    head_dim: Annotated[int, Field(ge=8, le=256)] = 64
    heads: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
    """Attention heads of each layer."""
    neurons: Annotated[tuple[Width, ...], Field(min_length=1)]
    """Feed-forward neurons of each layer."""
    activation: Literal["gelu", "quick_gelu", "gelu_tanh"] = "gelu"
    """``quick_gelu``: OpenAI's CLIP. ``gelu_tanh``: the tanh approximation, as in SigLIP."""
    norm_eps: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    """What layer norms add to the variance."""
    ranks: tuple[Ranks, ...] = ()
    """Ranks of each layer; none listed: every matrix is whole. With ``layers`` in a recipe,
    one entry is enough: ``{layers: 4, ranks: {up: 64, down: 64}}``."""

    @model_validator(mode="before")
    @classmethod
    def _repeat_per_layer(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "layers" not in values:
            return values
        values = dict(values)
        layers = values.pop("layers")
        width, head_dim = values.get("width", 0), values.get("head_dim", 64)
        if not all(isinstance(one, int) and one >= 0 for one in (layers, width, head_dim)):
            raise ValueError("layers, width and head_dim must be whole numbers")
        defaults = {"heads": max(1, width // max(1, head_dim)), "neurons": 4 * width}
        for key, default in defaults.items():
            value = values.get(key, default)
            values[key] = [value] * layers if isinstance(value, int) else value
        if isinstance(values.get("ranks"), dict | Ranks):
            values["ranks"] = [values["ranks"]] * layers
        return values

    @model_validator(mode="after")
    def _same_depth(self) -> Self:
        if len(self.heads) != len(self.neurons):
            raise ValueError(
                f"heads lists {len(self.heads)} layers and neurons {len(self.neurons)}"
            )
        if self.ranks and len(self.ranks) != len(self.heads):
            raise ValueError(f"heads lists {len(self.heads)} layers and ranks {len(self.ranks)}")
        return self

    @property
    def ranks_of_layers(self) -> tuple[Ranks, ...]:
        """Ranks of every layer, listed or not."""
        return self.ranks or (Ranks(),) * len(self.heads)


class TimmBackbone(Spec):
    """A timm model by name, without its classifier."""

    name: str
    options: dict[str, Any] = {}
    """Keyword arguments for ``timm.create_model``, such as ``pad_type: same``."""
    widths: dict[str, tuple[Channels, Channels]] = {}
    """Modules that pruning made narrower, by name: channels that go in and come out. A module
    that keeps channels apart, such as a batch norm or a depthwise convolution, has as many of
    both."""


class TimmTower(Spec):
    """One or several timm backbones side by side, pooled, joined and projected."""

    kind: Literal["timm"] = "timm"
    backbones: Annotated[tuple[TimmBackbone, ...], Field(min_length=1)]
    power_normalise: bool = False
    """Take the signed square root of every pooled feature, so that a few strong ones do not
    drown the others (Perronnin et al., ECCV 2010, section 3.1)."""
    standardise: bool = False
    """Subtract a stored mean and divide by a stored deviation before projecting."""


class VitTower(Spec):
    """Our small vision transformer, whose heads and neurons can be pruned."""

    kind: Literal["vit"] = "vit"
    patch: Annotated[int, Field(ge=4, le=64)] = 16
    blocks: Transformer


class AttentionPooledTower(Spec):
    """A vision transformer without class token, pooled by attention of one learned query.

    SigLIP's image tower (arXiv 2303.15343), with the multi-head attention pooling of
    "Scaling Vision Transformers" (arXiv 2106.04560). Its width is the embedding's length.
    """

    kind: Literal["attention_pooled"] = "attention_pooled"
    patch: Annotated[int, Field(ge=4, le=64)] = 16
    blocks: Transformer
    pool_heads: Annotated[int, Field(ge=1)]
    """Attention heads of the pooling."""
    pool_neurons: Width
    """Feed-forward neurons of the pooling."""


class TextTower(Spec):
    """A CLIP-style transformer, pooled at one token and projected."""

    kind: Literal["transformer"] = "transformer"
    blocks: Transformer
    embedding_rank: Width | None = None
    """Store the token embedding as vocabulary x rank and rank x width; None: whole."""
    causal: bool = True
    """Whether a token sees only itself and what is before it, as in CLIP. Some models
    (MobileCLIP, SigLIP) see the whole sentence, padding included."""
    pooling: Literal["end", "last"] = "end"
    """``end``: at the first end token, as in CLIP. ``last``: at the last position of the
    context, padding or not, as in SigLIP."""
    projection_bias: bool = False
    bag_of_tokens: bool = False
    """Add a learned linear map of the mean token embedding to the output: with a
    closed-form start it makes small corpora learnable."""

    @model_validator(mode="after")
    def _last_sees_all(self) -> Self:
        if self.pooling == "last" and self.causal:
            raise ValueError("pooling at the last position needs causal: false")
        return self


class OpenClipTower(Spec):
    """The image side of an open_clip architecture, by its name there."""

    kind: Literal["open_clip"] = "open_clip"
    model: str
    options: dict[str, Any] = {}
    """The open_clip configuration (``model_cfg``), kept so that loading needs no registry."""


ImageTowerSpec = Annotated[
    TimmTower | VitTower | AttentionPooledTower | OpenClipTower, Field(discriminator="kind")
]


class ModelConfig(Spec):
    """A dual encoder whole: both towers and how their inputs are made."""

    format: Literal[1] = CHECKPOINT_FORMAT
    name: str
    embedding_dim: Width
    image: ImageTowerSpec
    text: TextTower
    preprocessing: Preprocessing
    tokens: TextSpec
    quantisation: Quantisation | None = None
    """Grids that the weights were trained on; None: plain floating point."""

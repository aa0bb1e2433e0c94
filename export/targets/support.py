"""The towers that leanclip vouches for, and what cannot be done with each of them.

A listed tower is converted to every target by `tests/export/test_every_tower.py`. Any other
is tried, and compared with PyTorch like the rest.
"""

from dataclasses import dataclass

from retrieval.spec.bundle import Format, Precision
from retrieval.spec.model import ModelConfig, OpenClipTower, TimmTower
from retrieval.spec.tower import Tower

TEXT = "text"
VIT = "vit"
ATTENTION_POOLED = "attention_pooled"


@dataclass(frozen=True)
class Refusal:
    """A file that would be of no use.

    Attributes:
        format: Of which.
        precision: Of which; None: of all.
        reason: What goes wrong, as the end of a sentence that starts with the tower.
        alternative: What to ask for instead.
    """

    format: Format
    precision: Precision | None
    reason: str
    alternative: str


_STATIC_TRANSFORMER = "loses its meaning when all activations have fixed int8 scales"
_CONSTANT_ROUNDED = (
    "pools from a constant, whose rounding on the fly leaves an operation that ExecuTorch lacks"
)

SUPPORT: dict[str, tuple[Refusal, ...]] = {
    "mobilenetv4_conv_small": (),
    "mobilenetv2_100": (),
    "mobilenetv1_100": (),
    "mobilenetv3_small_100": (),
    "efficientvit_b0": (),
    "mobileone_s0": (),
    "fastvit_t8": (),
    "repvit_m0_9": (),
    "tiny_vit_5m_224": (),
    "vit_tiny_patch16_224": (
        Refusal("onnx", "int8-static", _STATIC_TRANSFORMER, "int8"),
        Refusal("executorch", "int8-static", _STATIC_TRANSFORMER, "int8"),
    ),
    VIT: (
        Refusal("onnx", "int8-static", _STATIC_TRANSFORMER, "int8"),
        Refusal("executorch", "int8-static", _STATIC_TRANSFORMER, "int8"),
    ),
    ATTENTION_POOLED: (
        Refusal("onnx", "int8-static", _STATIC_TRANSFORMER, "int8"),
        Refusal("executorch", "int8", _CONSTANT_ROUNDED, "fp32"),
        Refusal("executorch", "int8-static", _STATIC_TRANSFORMER, "fp32"),
    ),
    TEXT: (
        Refusal("onnx", "int8-static", _STATIC_TRANSFORMER, "int8"),
        Refusal("litert", "int8-static", _STATIC_TRANSFORMER, "int8"),
        Refusal("executorch", "int8-static", _STATIC_TRANSFORMER, "int8"),
    ),
}
"""By the name of an image tower's backbone in timm; `VIT`, `ATTENTION_POOLED` and `TEXT` are
our own towers. Those of open_clip have names of their own, of which none is listed."""


def parts(config: ModelConfig, tower: Tower) -> tuple[str, ...]:
    """Names of what a tower is made of, as `SUPPORT` has them; a tower may have two backbones."""
    if tower == "text":
        return (TEXT,)
    spec = config.image
    if isinstance(spec, TimmTower):
        # A tag behind the name says which weights, not which shape.
        return tuple(backbone.name.partition(".")[0] for backbone in spec.backbones)
    return (f"open_clip:{spec.model}",) if isinstance(spec, OpenClipTower) else (spec.kind,)


def refusal(config: ModelConfig, tower: Tower, format: str, precision: str) -> str | None:
    """Why a file of a known tower would be of no use and what to do instead; None if it is."""
    for name in parts(config, tower):
        for one in SUPPORT.get(name, ()):
            if one.format == format and one.precision in (None, precision):
                return f"{name} {one.reason}; choose {one.alternative}"
    return None


def note(config: ModelConfig, tower: Tower) -> str | None:
    """What to tell of a tower that is not listed; None for one that is."""
    unknown = [name for name in parts(config, tower) if name not in SUPPORT]
    if not unknown:
        return None
    return f"{' and '.join(unknown)} is not among the towers that leanclip is tested with"

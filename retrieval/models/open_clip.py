"""open_clip's models as dual encoders of ours: as teachers, and to export as they are."""

import difflib
import logging
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from torch import nn

import retrieval.models.torchvision_guard  # noqa: F401  (before open_clip)
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.checkpoint import Checkpoint, fingerprint
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.open_clip_attention import separate_attention
from retrieval.models.open_clip_siglip import (
    attention_pooled_spec,
    attention_pooled_weights,
    is_siglip_text,
    open_clip_siglip_tokenizer,
)
from retrieval.models.open_clip_text import text_tower_spec, text_tower_weights
from retrieval.models.state import state_sha256
from retrieval.spec.errors import CheckpointError
from retrieval.spec.model import AttentionPooledTower, ModelConfig, OpenClipTower, TextTower
from retrieval.spec.preprocessing import Preprocessing
from retrieval.spec.reasons import in_one_line

RANDOM = "random"
HUB = ("hf-hub:", "local-dir:")

_TAGS_SHOWN = 6
_TINY_TEXT = {"context_length": 4, "vocab_size": 8, "width": 8, "heads": 1, "layers": 1}


class OpenClipName(NamedTuple):
    """Which architecture and which weights."""

    model: str
    pretrained: str | None


def parse_name(name: str) -> OpenClipName:
    """Split ``MODEL/PRETRAINED``; ``hf-hub:ORG/NAME`` and ``local-dir:PATH`` stay whole.

    Raises:
        CheckpointError: The weights are not named.
    """
    if name.startswith(HUB):
        return OpenClipName(name, None)
    model, _, pretrained = name.partition("/")
    if not pretrained:
        raise CheckpointError(
            f"name weights too: {model}/PRETRAINED, a tag of open_clip or a file{_tags(model)}"
        )
    return OpenClipName(model, pretrained)


def load_open_clip(name: str, *, random_weights: bool = False) -> Checkpoint:
    """Load an open_clip model, its preprocessing and its tokenizer.

    The image tower stays open_clip's but for its attention, SigLIP's becomes ours; the text
    tower becomes ours with the same weights.

    Args:
        name: ``MODEL/TAG`` from open_clip's hub, ``MODEL/path/to/weights.pt``,
            ``hf-hub:ORG/NAME`` or ``local-dir:PATH``; ``MODEL/random`` for tests.
        random_weights: Allow ``MODEL/random``.

    Raises:
        CheckpointError: The model or its weights are unknown, cannot be read, or use a text
            tower or tokenizer that is neither CLIP's nor SigLIP's.
        MissingExtraError: Its tokenizer needs a library that is not installed.
    """
    wanted = parse_name(name)
    if wanted.pretrained == RANDOM and not random_weights:
        raise CheckpointError(f"{name} would be a model with random weights: of use in tests only")
    options = _options(wanted)
    text = text_tower_spec(name, options)
    tokenizer = _tokenizer(wanted, options["text_cfg"])
    source = _create(wanted, options)
    config = _config(name, source, options, text, tokenizer)
    model = DualEncoder(config)
    if isinstance(config.image, AttentionPooledTower):
        model.image.load_state_dict(attention_pooled_weights(source.visual))
    else:
        separate_attention(source.visual)
        model.image.load_state_dict(source.visual.state_dict())
    model.text.load_state_dict(text_tower_weights(source))
    return Checkpoint(
        model=model.eval(),
        tokenizer=tokenizer,
        fingerprint=fingerprint(config, state_sha256(model)),
        metrics={},
    )


def make_open_clip_image_tower(spec: OpenClipTower, embedding_dim: int) -> nn.Module:
    """open_clip's image tower with random weights, from its stored configuration.

    Raises:
        CheckpointError: open_clip or timm cannot make it.
    """
    import open_clip

    vision = dict(spec.options["vision_cfg"])
    if "timm_model_name" in vision:
        vision["timm_model_pretrained"] = False
    try:
        # open_clip has no public way to make one side alone; the other is kept tiny.
        whole = open_clip.CLIP(
            embed_dim=embedding_dim,
            vision_cfg=vision,
            text_cfg=_TINY_TEXT,
            quick_gelu=bool(spec.options.get("quick_gelu", False)),
        )
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        raise CheckpointError(f"open_clip cannot make {spec.model!r}: {error}") from error
    visual: nn.Module = whole.visual
    separate_attention(visual)
    return visual


def _options(wanted: OpenClipName) -> dict[str, Any]:
    """open_clip's configuration of the model, with the activation that the weights want."""
    import open_clip

    try:
        found = open_clip.get_model_config(wanted.model)
    except Exception as error:  # The hub's errors, or a folder without configuration.
        reason = in_one_line(error)
        raise CheckpointError(f"cannot read {wanted.model}'s configuration: {reason}") from error
    if found is None:
        close = difflib.get_close_matches(wanted.model, open_clip.list_models(), n=4)
        hint = f"; close names: {', '.join(close)}" if close else ""
        raise CheckpointError(f"open_clip has no model {wanted.model!r}{hint}")
    options = dict(found)
    if wanted.pretrained not in (None, RANDOM):
        _check_pretrained(wanted.model, wanted.pretrained)
        tagged = open_clip.get_pretrained_cfg(wanted.model, wanted.pretrained)
        # A tag knows its activation; a model name alone would silently choose the other one.
        options["quick_gelu"] = bool(tagged.get("quick_gelu", options.get("quick_gelu", False)))
    return options


def _create(wanted: OpenClipName, options: dict[str, Any]) -> Any:
    """The open_clip model itself."""
    import open_clip

    random = wanted.pretrained == RANDOM
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = open_clip.create_model(
                wanted.model,
                pretrained=None if random else wanted.pretrained,
                force_quick_gelu=bool(options.get("quick_gelu", False)),
                require_pretrained=not random,
            )
    except Exception as error:  # Network, file and format errors of four libraries.
        reason = in_one_line(error)
        name = "/".join(part for part in wanted if part)
        raise CheckpointError(f"open_clip cannot load {name}: {reason}") from error
    finally:
        logging.disable(level)
    return model.eval()


def _check_pretrained(model: str, pretrained: str) -> None:
    import open_clip

    if open_clip.is_pretrained_cfg(model, pretrained) or Path(pretrained).is_file():
        return
    raise CheckpointError(
        f"{pretrained!r} is neither a file nor weights of {model} that open_clip knows"
        f"{_tags(model)}"
    )


def _tags(model: str) -> str:
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(model)
    more = ", ..." if len(tags) > _TAGS_SHOWN else ""
    return f"; it knows {', '.join(tags[:_TAGS_SHOWN])}{more}" if tags else ""


def _tokenizer(wanted: OpenClipName, text: dict[str, Any]) -> Tokenizer:
    if is_siglip_text(text):
        return open_clip_siglip_tokenizer(wanted.model, text)
    return Tokenizer.clip(context_length=int(text.get("context_length", 77)))


def _config(
    name: str, source: Any, options: dict[str, Any], text: TextTower, tokenizer: Tokenizer
) -> ModelConfig:
    kept = {key: options[key] for key in ("vision_cfg", "quick_gelu") if key in options}
    try:
        return ModelConfig(
            name=name.rsplit("/", 1)[-1] if name.startswith(HUB) else name,
            embedding_dim=options["embed_dim"],
            image=attention_pooled_spec(source.visual) or OpenClipTower(model=name, options=kept),
            text=text,
            preprocessing=_preprocessing(name, source.visual.preprocess_cfg),
            tokens=tokenizer.spec,
        )
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CheckpointError(f"{name} cannot be used: {place}: {first['msg']}") from error


def _preprocessing(name: str, found: dict[str, Any]) -> Preprocessing:
    size = found["size"]
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise CheckpointError(f"{name} takes photos of {size}; only square input is supported")
    return Preprocessing(
        size=sides.pop(),
        resize_mode=found["resize_mode"],
        interpolation=found["interpolation"],
        fill=(found["fill_color"],) * 3,
        mean=tuple(found["mean"]),
        std=tuple(found["std"]),
    )

"""timm's names of CLIP image towers, as the open_clip models that they come from."""

import difflib
import re
from typing import Any

import retrieval.models.torchvision_guard  # noqa: F401  (before timm)
from retrieval.spec.errors import CheckpointError

# timm's own re-implementation of CLIP's vision transformer, by the letter in open_clip's names.
_VIT = re.compile(r"vit_(\w+?)_patch(\d+)(_plus)?_clip(_quickgelu)?_(\d+)")
_SIZES = {"base": "B", "large": "L", "huge": "H", "giant": "g", "gigantic": "bigG"}
_SHOWN = 6


def open_clip_name(name: str) -> str:
    """``MODEL/TAG`` of open_clip whose image tower a timm model is.

    Args:
        name: As timm names it, ``vit_base_patch16_clip_224.openai``; the tag may be left out
            where only one model has such a tower.

    Raises:
        CheckpointError: timm has no such model, it is no image tower of a dual encoder, or
            several dual encoders have it.
    """
    import timm

    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        close = difflib.get_close_matches(architecture, timm.list_models(), n=4)
        hint = f"; close names: {', '.join(close)}" if close else ""
        raise CheckpointError(f"timm has no model {architecture!r}{hint}")
    pairs = [(model, weights) for model in _models(architecture) for weights in _tags(model)]
    if not pairs:
        raise CheckpointError(
            f"{name} has no text tower, so no sentence finds its photos: train one beside it with "
            "leanclip compress, where student.image can name it"
        )
    exact = [pair for pair in pairs if pair[1] == tag and not tag.endswith("webli")]
    fitting = exact or [pair for pair in pairs if not tag or _is_of(pair, tag)]
    if len(fitting) == 1:
        return "/".join(fitting[0])
    shown = [f"open_clip:{model}/{weights}" for model, weights in fitting or pairs][:_SHOWN]
    more = ", ..." if len(fitting or pairs) > _SHOWN else ""
    problem = "several models have" if fitting else "no model of open_clip has exactly"
    raise CheckpointError(f"{problem} the image tower {name}: name one, {', '.join(shown)}{more}")


def _models(architecture: str) -> list[str]:
    """Models of open_clip with CLIP's or SigLIP's text tower and this image tower."""
    import open_clip

    found = []
    for model in open_clip.list_models():
        config: dict[str, Any] = open_clip.get_model_config(model) or {}
        vision, text = config.get("vision_cfg", {}), config.get("text_cfg", {})
        if vision.get("timm_model_name") == architecture and "hf_model_name" not in text:
            found.append(model)
    if (parts := _VIT.fullmatch(architecture)) is not None:
        size, patch, plus, quick, pixels = parts.groups()
        # open_clip takes the activation from the tag where the name does not say it.
        names = {f"ViT-{_SIZES.get(size, size)}-{patch}{'-plus' if plus else ''}"}
        if pixels == "224":
            found += sorted(names)
        found += [f"{name}-{pixels}" for name in sorted(names)]
        if quick:
            found = [f"{name}-quickgelu" for name in found if not name.startswith("Mobile")]
    return found


def _tags(model: str) -> list[str]:
    import open_clip

    tags: list[str] = open_clip.list_pretrained_tags_by_model(model)
    return tags


def _is_of(pair: tuple[str, str], tag: str) -> bool:
    """Whether weights that timm tags so are those of a model and tag of open_clip."""
    model, weights = pair
    if tag.startswith("apple_mclip"):
        # timm names MobileCLIP's generation and training, open_clip's names and tags do.
        second = tag.startswith("apple_mclip2")
        longer = tag.endswith("_lt")
        return model.startswith(f"MobileCLIP{2 if second else ''}-") and (
            weights.endswith("_lt") == longer
        )
    if tag.endswith("webli"):
        return weights == "webli" and ("SigLIP2" in model) == tag.startswith("v2_")
    if tag.endswith("webli_i18n"):
        return weights == "webli" and "i18n" in model
    wanted = tag.replace("datacompxl", "datacomp_xl").replace("metaclip_2pt5b", "metaclip_fullcc")
    return weights == wanted or (weights.startswith(f"{wanted}_s") and "ft" not in tag)

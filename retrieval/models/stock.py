"""Models that others trained, by one name: where from, a colon, which."""

from collections.abc import Callable
from functools import partial
from typing import Final

from retrieval.models.checkpoint import Checkpoint
from retrieval.spec.errors import CheckpointError

OPEN_CLIP: Final = "open_clip"
HUGGING_FACE: Final = "hf"
TIMM: Final = "timm"


def load_stock(source: str, *, random_weights: bool = False) -> Checkpoint:
    """Load a stock model as a dual encoder of ours.

    Args:
        source: ``open_clip:MODEL/TAG``, ``hf:ORG/NAME``, ``hf:FOLDER`` or ``timm:NAME.TAG``,
            the image tower of a dual encoder that open_clip has.
        random_weights: Allow ``open_clip:MODEL/random``, for tests.

    Raises:
        CheckpointError: The model is unknown, cannot be fetched or read, or is of a kind that
            cannot be used.
        MissingExtraError: Its tokenizer needs a library that is not installed.
    """
    scheme, _, name = source.partition(":")
    loaders: dict[str, Callable[[str], Checkpoint]] = {
        OPEN_CLIP: partial(_open_clip, random_weights=random_weights),
        HUGGING_FACE: _hugging_face,
        TIMM: _timm,
    }
    if scheme not in loaders or not name:
        raise CheckpointError(
            f"cannot import {source!r}: name it open_clip:MODEL/PRETRAINED, hf:ORG/NAME, "
            "hf:FOLDER or timm:NAME"
        )
    return loaders[scheme](name)


def _open_clip(name: str, *, random_weights: bool) -> Checkpoint:
    from retrieval.models.open_clip import load_open_clip

    return load_open_clip(name, random_weights=random_weights)


def _hugging_face(name: str) -> Checkpoint:
    from retrieval.models.hugging_face import load_hugging_face

    return load_hugging_face(name)


def _timm(name: str) -> Checkpoint:
    from retrieval.models.open_clip import load_open_clip
    from retrieval.models.timm_import import open_clip_name

    return load_open_clip(open_clip_name(name))

"""Tokenizers of Hugging Face folders, as ours: CLIP's byte pairs, SigLIP's SentencePiece."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from retrieval.language.bytepair import BYTE_SYMBOLS
from retrieval.language.pieces import SentencePieceTokenizer
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.hugging_face_files import read_settings
from retrieval.models.hugging_face_pieces import model_from_json
from retrieval.spec.errors import BundleError, CheckpointError

_MODELS = ("spiece.model", "tokenizer.model")
_CANONICAL_CLASS = "SiglipTokenizer"

Cleaning = Literal["clip", "canonical"]


def clip_tokenizer(folder: Path, context_length: int) -> Tokenizer:
    """CLIP's tokenizer with a folder's own vocabulary.

    Sentences are cleaned as OpenAI's CLIP does, encoding errors and HTML entities mended,
    which transformers leaves out; ids are otherwise those of transformers, padding too.

    Args:
        folder: With ``tokenizer.json``, or with ``vocab.json`` and ``merges.txt``.
        context_length: Ids a sentence becomes.

    Raises:
        CheckpointError: They are missing, or ids are counted otherwise than CLIP's.
    """
    ids, merges = _clip_vocabulary(folder)
    lines = [f"{merge}\n" for merge in merges]
    tokenizer = Tokenizer.from_merges("".join(lines), context_length=context_length)
    pieces = [*BYTE_SYMBOLS, *(merge.replace(" ", "") for merge in merges)]
    if len(ids) != len(pieces) + 2 or any(ids.get(p) != i for i, p in enumerate(pieces)):
        raise CheckpointError(
            f"the vocabulary of {folder} is not laid out as CLIP's: bytes, merges, start and end"
        )
    padding = _named(_tokenizer_settings(folder), "pad_token")
    pad_id = tokenizer.spec.end_id if padding is None else ids.get(padding)
    if pad_id is None:
        raise CheckpointError(f"the vocabulary of {folder} has no pad_token {json.dumps(padding)}")
    return Tokenizer("".join(lines), tokenizer.spec.model_copy(update={"pad_id": pad_id}))


def siglip_tokenizer(
    folder: Path,
    *,
    vocabulary_size: int,
    context_length: int,
    cleaning: Cleaning | None = None,
    lower_case: bool = True,
) -> SentencePieceTokenizer:
    """SigLIP's or SigLIP 2's tokenizer.

    Args:
        folder: With ``spiece.model``, ``tokenizer.model`` or ``tokenizer.json``, and with
            ``tokenizer_config.json``.
        vocabulary_size: Rows of the token embedding.
        context_length: Ids a sentence becomes.
        cleaning: By default what the folder's tokenizer does: SigLIP's takes punctuation
            out, SigLIP 2's leaves it.
        lower_case: Both were trained on lower-case text.

    Raises:
        CheckpointError: Files are missing or malformed.
        MissingExtraError: SentencePiece is not installed.
    """
    settings = _tokenizer_settings(folder)
    if cleaning is None:
        canonical = settings.get("tokenizer_class", _CANONICAL_CLASS) == _CANONICAL_CLASS
        cleaning = "canonical" if canonical else "clip"
    model = _sentencepiece_model(folder)
    if settings.get("add_bos_token"):
        raise CheckpointError(f"the tokenizer of {folder} begins sentences with a token of its own")
    try:
        draft = SentencePieceTokenizer.from_model(
            model, vocabulary_size=vocabulary_size, context_length=context_length,
            end_id=0, pad_id=0, lower_case=lower_case, cleaning=cleaning,
        )  # fmt: skip
    except BundleError as error:
        raise CheckpointError(f"{folder}: {error}") from error
    return draft.with_marks(
        end_id=_id_of(draft, folder, settings, "eos_token"),
        pad_id=_id_of(draft, folder, settings, "pad_token"),
    )


def _clip_vocabulary(folder: Path) -> tuple[Mapping[str, int], list[str]]:
    """Ids by piece, and merges as ``left right``."""
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        lines = (folder / "merges.txt").read_text("utf-8").splitlines()
        merges = [line for line in lines if line and not line.startswith("#version")]
        return read_settings(folder / "vocab.json"), merges
    if (folder / "tokenizer.json").is_file():
        model = read_settings(folder / "tokenizer.json").get("model") or {}
        if model.get("type") == "BPE":
            merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
            return model["vocab"], merges
        raise CheckpointError(f"{folder / 'tokenizer.json'} does not hold byte pairs as CLIP's do")
    raise CheckpointError(
        f"{folder} has no tokenizer: copy tokenizer.json, or vocab.json and merges.txt, there too"
    )


def _sentencepiece_model(folder: Path) -> bytes:
    for name in _MODELS:
        if (folder / name).is_file():
            return (folder / name).read_bytes()
    if (folder / "tokenizer.json").is_file():
        return model_from_json(folder / "tokenizer.json")
    raise CheckpointError(
        f"{folder} has no tokenizer: copy {', '.join(_MODELS)} or tokenizer.json there too"
    )


def _tokenizer_settings(folder: Path) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            settings |= read_settings(folder / name)
    return settings


def _id_of(
    tokenizer: SentencePieceTokenizer, folder: Path, settings: Mapping[str, Any], which: str
) -> int:
    token = _named(settings, which)
    if token is None:
        raise CheckpointError(f"{folder} names no {which} in tokenizer_config.json")
    found = tokenizer.id_of(token)
    if found is None:
        raise CheckpointError(f"the vocabulary of {folder} has no {which} {json.dumps(token)}")
    return found


def _named(settings: Mapping[str, Any], which: str) -> str | None:
    """A special token's text, which files give plainly or as an object."""
    named = settings.get(which)
    token = named.get("content") if isinstance(named, dict) else named
    return token if isinstance(token, str) else None

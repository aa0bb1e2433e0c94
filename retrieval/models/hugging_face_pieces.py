"""A SentencePiece model from ``tokenizer.json``, for folders that hold nothing else."""

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from retrieval.language.pieces import EXTRA
from retrieval.models.hugging_face_files import read_settings
from retrieval.spec.errors import CheckpointError, MissingExtraError

_BYTES = {f"<0x{byte:02X}>" for byte in range(256)}


class _Piece(NamedTuple):
    text: str
    score: float


def model_from_json(path: Path) -> bytes:
    """The bytes of a SentencePiece model that cuts sentences as a ``tokenizer.json`` does.

    Such files are made from SentencePiece models; this is the way back. Unigram pieces keep
    their scores. Of byte pairs, a piece scores by the rank of its merges, which is exact
    where every way to cut a piece in two is a merge, as in files that were made so.

    Raises:
        CheckpointError: The file was not made from a SentencePiece model.
        MissingExtraError: SentencePiece or protobuf is not installed.
    """
    try:
        from sentencepiece import sentencepiece_model_pb2 as schema
    except ImportError as error:
        raise MissingExtraError("reading this model's tokenizer", EXTRA) from error
    found = read_settings(path)
    model = found.get("model") or {}
    proto = schema.ModelProto()
    trainer, normaliser = proto.trainer_spec, proto.normalizer_spec
    if model.get("type") == "Unigram":
        trainer.model_type = trainer.UNIGRAM
        pieces = [_Piece(text, score) for text, score in model["vocab"]]
        unknown = int(model.get("unk_id") or 0)
    elif model.get("type") == "BPE" and model.get("byte_fallback"):
        trainer.model_type = trainer.BPE
        pieces = list(_scored(path, model))
        unknown = model["vocab"][model["unk_token"]]
    else:
        raise CheckpointError(f"{path} was not made from a SentencePiece model")
    trainer.vocab_size = len(pieces)
    trainer.unk_id, trainer.bos_id, trainer.eos_id, trainer.pad_id = unknown, -1, -1, -1
    trainer.byte_fallback = bool(model.get("byte_fallback"))
    _set_normaliser(normaliser, found, unigram=model["type"] == "Unigram")
    added = {token["content"]: token for token in found.get("added_tokens") or ()}
    kinds = schema.ModelProto.SentencePiece
    for id, piece in enumerate(pieces):
        kind = kinds.NORMAL
        if id == unknown:
            kind = kinds.UNKNOWN
        elif piece.text in _BYTES and trainer.byte_fallback:
            kind = kinds.BYTE
        elif piece.text in added:
            kind = kinds.CONTROL if added[piece.text].get("special") else kinds.USER_DEFINED
        elif len(piece.text) > 1 and piece.score == float("-inf"):
            # No merge makes it, so no sentence has it.
            kind = kinds.CONTROL
        proto.pieces.add(piece=piece.text, score=max(piece.score, -1e9), type=kind)
    data: bytes = proto.SerializeToString()
    return data


def _scored(path: Path, model: Mapping[str, Any]) -> Iterator[_Piece]:
    """Byte-pair pieces in the order of their ids, with minus the rank of their merge."""
    vocabulary: Mapping[str, int] = model["vocab"]
    merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
    if sorted(vocabulary.values()) != list(range(len(vocabulary))):
        raise CheckpointError(f"{path} leaves ids out")
    ranks: dict[str, int] = {}
    known = set(merges)
    for rank, merge in enumerate(merges):
        ranks.setdefault("".join(merge), rank)
    for piece in ranks:
        cuts = ((piece[:at], piece[at:]) for at in range(1, len(piece)))
        if any(a in vocabulary and b in vocabulary and (a, b) not in known for a, b in cuts):
            raise CheckpointError(
                f"{path} was not made from a SentencePiece model: {piece!r} has a single merge"
            )
    for piece, _ in sorted(vocabulary.items(), key=lambda item: item[1]):
        yield _Piece(piece, -float(ranks[piece]) if piece in ranks else float("-inf"))


def _set_normaliser(normaliser: Any, found: Mapping[str, Any], *, unigram: bool) -> None:
    normaliser.name = "user_defined"
    normaliser.escape_whitespaces = True
    # Sentences come with white space folded and stripped.
    normaliser.remove_extra_whitespaces = unigram
    normaliser.add_dummy_prefix = any(
        part.get("type") == "Metaspace" and part.get("prepend_scheme", "always") != "never"
        for part in _parts(found.get("pre_tokenizer"), "pretokenizers")
    )
    for part in _parts(found.get("normalizer"), "normalizers"):
        if part.get("type") == "Precompiled" and part.get("precompiled_charsmap"):
            normaliser.precompiled_charsmap = base64.b64decode(part["precompiled_charsmap"])
        if part.get("type") == "Prepend":
            normaliser.add_dummy_prefix = True


def _parts(step: Any, inner: str) -> list[Mapping[str, Any]]:
    """A step of a tokenizer, or the steps that it is a sequence of."""
    if not isinstance(step, dict):
        return []
    return list(step.get(inner) or ()) if step.get("type") == "Sequence" else [step]

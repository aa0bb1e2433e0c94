"""SentencePiece vocabularies, unigram or BPE, as SigLIP has them; needs an extra."""

import copy
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, Self

from retrieval.language.cleaning import clean
from retrieval.language.tokenizer import Tokenizer
from retrieval.spec.bundle import check_vocabulary
from retrieval.spec.errors import BundleError, MissingExtraError, RecipeError
from retrieval.spec.files import replacing
from retrieval.spec.text import TextSpec

EXTRA = "sentencepiece"
MODEL = "tokenizer.model"


class SentencePieceTokenizer(Tokenizer):
    """Google's SentencePiece behind the interface of our byte pairs.

    The library is a few megabytes of C++ without dependencies, and there is one for every
    kind of host; its model file holds normalisation, algorithm and pieces, so nothing of
    them is written down twice.

    Args:
        model: The bytes of a SentencePiece model.
        spec: What surrounds the pieces.

    Raises:
        MissingExtraError: The library is not installed.
        BundleError: The bytes are not a model, or it has more pieces than ``spec`` has ids.
    """

    def __init__(self, model: bytes, spec: TextSpec) -> None:
        self.spec = spec
        self._model = model
        self._processor = _processor(model, spec.vocabulary_file)
        pieces = self._processor.get_piece_size()
        if pieces > spec.vocabulary_size:
            raise BundleError(
                f"{spec.vocabulary_file} has {pieces} pieces, which is more than the "
                f"{spec.vocabulary_size} tokens of the text tower"
            )

    @classmethod
    def from_model(
        cls,
        model: bytes,
        *,
        vocabulary_size: int,
        context_length: int,
        end_id: int,
        pad_id: int,
        lower_case: bool = True,
        cleaning: Literal["clip", "canonical"] = "canonical",
    ) -> Self:
        """A tokenizer from the bytes of a SentencePiece model; see `TextSpec`."""
        spec = TextSpec(
            kind="sentencepiece",
            vocabulary_file=MODEL,
            vocabulary_sha256=sha256(model).hexdigest(),
            vocabulary_size=vocabulary_size,
            context_length=context_length,
            start_id=None,
            end_id=end_id,
            pad_id=pad_id,
            lower_case=lower_case,
            cleaning=cleaning,
        )
        return cls(model, spec)

    @classmethod
    def from_spec(cls, spec: TextSpec, folder: Path) -> Self:
        """The tokenizer of a bundle or checkpoint.

        Raises:
            BundleError: The model is missing, damaged, or does not fit ``spec``.
            MissingExtraError: SentencePiece is not installed.
        """
        path = check_vocabulary(folder, spec)
        try:
            model = path.read_bytes()
        except OSError as error:
            raise BundleError(f"{path} cannot be read: {error.strerror}") from error
        return cls(model, spec)

    def with_marks(self, *, end_id: int, pad_id: int) -> Self:
        """The same pieces with other ids to end and fill a sentence."""
        changed = copy.copy(self)
        changed.spec = self.spec.model_copy(update={"end_id": end_id, "pad_id": pad_id})
        return changed

    def id_of(self, piece: str) -> int | None:
        """The id of one piece; None where there is no such piece."""
        id: int = self._processor.piece_to_id(piece)
        return id if self._processor.id_to_piece(id) == piece else None

    @property
    def merges(self) -> tuple[str, ...]:
        """There are none.

        Raises:
            RecipeError: Always; a SentencePiece vocabulary cannot be cut or translated.
        """
        raise RecipeError(
            "a SentencePiece vocabulary has no byte-pair merges, so it cannot be cut or inherited "
            "from; let the student have a vocabulary of its own"
        )

    def decode(self, ids: Iterable[int]) -> str:
        """The sentence as its pieces spell it; stops at the end id."""
        pieces = []
        for id in ids:
            if id == self.spec.end_id:
                break
            pieces.append(int(id))
        return str(self._processor.decode(pieces))

    def token(self, id: int) -> str:
        """One piece, with ``\u2581`` where a word begins.

        Raises:
            IndexError: The vocabulary has no such id.
        """
        pieces = self._processor.get_piece_size()
        if not 0 <= id < pieces:
            raise IndexError(f"token ids go from 0 to {pieces - 1}, not {id}")
        return str(self._processor.id_to_piece(id))

    def save(self, folder: Path) -> TextSpec:
        """Write the model into ``folder`` and return the spec that names it."""
        with replacing(folder / self.spec.vocabulary_file) as temporary:
            temporary.write_bytes(self._model)
        return self.spec

    def _ids(self, sentence: str, limit: int) -> list[int]:
        cleaned = clean(sentence, lower_case=self.spec.lower_case, cleaning=self.spec.cleaning)
        # What a broken file name leaves in a sentence has no UTF-8.
        readable = cleaned.encode("utf-8", "replace").decode()
        ids: list[int] = self._processor.encode(readable)
        return ids[:limit]


def _processor(model: bytes, name: str) -> Any:
    try:
        from sentencepiece import SentencePieceProcessor
    except ModuleNotFoundError as error:
        raise MissingExtraError("this model's tokenizer", EXTRA) from error
    try:
        return SentencePieceProcessor(model_proto=model)
    except RuntimeError as error:
        raise BundleError(f"{name} is not a SentencePiece model") from error

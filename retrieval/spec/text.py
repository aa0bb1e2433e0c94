"""The text side as data: from a sentence to the ids that a text tower takes."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from retrieval.spec.base import Spec

BYTE_TOKENS = 514
"""Fewest tokens of ``bpe``: 256 byte symbols, as many with end-of-word mark, start, end."""


class TextSpec(Spec):
    """How every host turns a sentence into ``(context_length,)`` token ids."""

    kind: Literal["bpe", "sentencepiece"] = "bpe"
    """``bpe``: CLIP's byte pairs. ``sentencepiece``: a SentencePiece model, unigram or BPE,
    whose file also holds how it normalises text. A host refuses a kind that it does not know.
    Left out of JSON where it is ``bpe``, as in files from before there was another."""
    vocabulary_file: str = "merges.txt"
    """Relative to its folder. ``bpe``: merges, one a line, in order of priority.
    ``sentencepiece``: the model, a protocol buffer."""
    vocabulary_sha256: str
    vocabulary_size: Annotated[int, Field(ge=1)]
    """Rows of the token embedding. ``bpe``: 256 byte symbols, as many with end-of-word mark,
    the merges, start and end. ``sentencepiece``: its pieces or more."""
    context_length: Annotated[int, Field(ge=4, le=1024)] = 77
    start_id: int | None
    """None: sentences have no start token."""
    end_id: int
    """Follows the sentence; one that is too long is cut so that it still does."""
    pad_id: int = 0
    """Fills up to the context length; may be the end token once more."""
    lower_case: bool = True
    cleaning: Literal["clip", "canonical"] = "clip"
    """``clip``: ftfy, HTML entities unescaped twice, white space folded and stripped.
    ``canonical``: as well, underscores become spaces and ASCII punctuation goes, before white
    space is folded (SigLIP)."""
    integer_type: Literal["int32"] = "int32"

    @model_validator(mode="after")
    def _has_every_byte(self) -> Self:
        if self.kind == "bpe" and self.vocabulary_size < BYTE_TOKENS:
            raise ValueError(f"vocabulary_size of byte pairs is at least {BYTE_TOKENS}")
        if self.kind == "bpe" and self.start_id is None:
            raise ValueError("start_id is needed with byte pairs")
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Fingerprints hash this: a new field must not change those of models that lack it.
        values: dict[str, Any] = handler(self)
        if self.kind == "bpe":
            values.pop("kind", None)
        return values

"""The text side as data: from a sentence to the ids that a text tower takes."""

from typing import Annotated, Literal

from pydantic import Field

from retrieval.spec.base import Spec


class TextSpec(Spec):
    """How every host turns a sentence into ``(context_length,)`` token ids."""

    vocabulary_file: str = "merges.txt"
    """Byte-pair merges, one a line, in order of priority; relative to its folder."""
    vocabulary_sha256: str
    vocabulary_size: Annotated[int, Field(ge=514)]
    """256 byte symbols, as many with end-of-word mark, the merges, start and end."""
    context_length: Annotated[int, Field(ge=4, le=1024)] = 77
    start_id: int
    end_id: int
    pad_id: int = 0
    lower_case: bool = True
    cleaning: Literal["clip"] = "clip"
    """``clip``: ftfy, HTML entities unescaped twice, white space folded and stripped."""
    integer_type: Literal["int32"] = "int32"

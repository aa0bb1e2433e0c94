"""What a user asks for, understood."""

from dataclasses import dataclass
from pathlib import Path

from retrieval.language.tokenizer import Tokenizer
from retrieval.spec.errors import QueryError
from retrieval.vision.decode import is_photo_name


@dataclass(frozen=True, slots=True)
class SentenceQuery:
    """Photos that show what a sentence says."""

    sentence: str


@dataclass(frozen=True, slots=True)
class PhotoQuery:
    """Photos that look like a photo."""

    path: Path


Query = SentenceQuery | PhotoQuery


def parse_query(text: str) -> Query:
    """A sentence, or the path of a photo when ``text`` names an existing one.

    Raises:
        QueryError: Nothing was asked, or a path of a photo names no file.
    """
    if not text.strip():
        raise QueryError("the query is empty: say in words what the photo shows")
    path = Path(text)
    if is_photo_name(path):
        if _is_file(path):
            return PhotoQuery(path)
        if len(text.split()) == 1:
            raise QueryError(f"{text}: there is no such photo to compare with")
    # Bytes that a terminal passed on and that are no text cannot be tokenized.
    return SentenceQuery(text.encode("utf-8", "replace").decode())


def ignored_end(sentence: str, tokenizer: Tokenizer) -> bool:
    """Whether a sentence is longer than the model's context, so that its end is not read."""
    return tokenizer.cuts(sentence)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        # A long sentence is no possible file name.
        return False

"""From what a user types to a query."""

from pathlib import Path

from retrieval.language.tokenizer import Tokenizer
from retrieval.search.query.parts import Example, Query, Sentence, Term
from retrieval.spec.errors import QueryError
from retrieval.vision.decode import is_photo_name


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
            return Query((Term(Example(path)),))
        if len(text.split()) == 1:
            raise QueryError(f"{text}: there is no such photo to compare with")
    # Bytes that a terminal passed on and that are no text cannot be tokenized.
    return Query((Term(Sentence(text.encode("utf-8", "replace").decode())),))


def ignored_end(sentence: str, tokenizer: Tokenizer) -> bool:
    """Whether a sentence is longer than the model's context, so that its end is not read."""
    return tokenizer.cuts(sentence)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        # A long sentence is no possible file name.
        return False

"""A query cut into words, with what stands in double quotes kept apart from what does not."""

from dataclasses import dataclass

from retrieval.spec.errors import QueryError

_QUOTE = '"'
_LONGEST = 80


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of a query between two gaps; quotes may hold gaps, too."""

    gap: str
    """White space before it."""
    plain: str
    """What comes before its first quote: only this may be an operator, a key or a weight."""
    text: str
    """All of it, without the quotes."""
    quoted: bool
    """Whether some of it stands in quotes."""


def split_words(text: str) -> list[Word]:
    """Cut a query at its white space.

    A double quote opens where a word begins, or behind a colon; everywhere else it is a
    character like others (``12" record``). Within quotes, two of them mean one.

    Raises:
        QueryError: A quote is opened and not closed.
    """
    words = []
    place = 0
    while place < len(text):
        start = place
        while place < len(text) and text[place].isspace():
            place += 1
        if place == len(text):
            break
        gap = text[start:place]
        plain, place = _plain(text, place)
        if not _opens(text, place, plain):
            words.append(Word(gap, plain, plain, quoted=False))
            continue
        inner, place = _quoted(text, place)
        rest, place = _until_gap(text, place)
        words.append(Word(gap, plain, plain + inner + rest, quoted=True))
    return words


def quoted(text: str) -> str:
    """``text`` as a query that means these very words: no operator, no key, no weight."""
    return _QUOTE + text.replace(_QUOTE, _QUOTE * 2) + _QUOTE


def excerpt(text: str) -> str:
    """What was typed, fit for a message: one line, not long, nothing that acts on a terminal."""
    line = "".join(c if c.isprintable() else " " for c in " ".join(text.split()))
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "…"


def _plain(text: str, place: int) -> tuple[str, int]:
    start = place
    while place < len(text) and not text[place].isspace():
        if text[place] == _QUOTE and _opens(text, place, text[start:place]):
            break
        place += 1
    return text[start:place], place


def _opens(text: str, place: int, before: str) -> bool:
    return text[place : place + 1] == _QUOTE and (not before or before.endswith(":"))


def _quoted(text: str, place: int) -> tuple[str, int]:
    """What stands between the quote at ``place`` and the one that closes it."""
    start = place
    inner = ""
    while True:
        close = text.find(_QUOTE, place + 1)
        if close < 0:
            raise QueryError(
                f"a double quote is not closed: {excerpt(text[start:])}; put another behind the "
                'words that it begins, as in "black - white"'
            )
        inner += text[place + 1 : close]
        if text[close + 1 : close + 2] != _QUOTE:
            return inner, close + 1
        inner += _QUOTE
        place = close + 1


def _until_gap(text: str, place: int) -> tuple[str, int]:
    start = place
    while place < len(text) and not text[place].isspace():
        place += 1
    return text[start:place], place

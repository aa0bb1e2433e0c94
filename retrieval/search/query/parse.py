"""From what a user types to a query; docs/searching.md tells users the language."""

import re
from collections.abc import Sequence
from pathlib import Path

from retrieval.language.tokenizer import Tokenizer
from retrieval.search.query.parts import Example, Query, Sentence, Term
from retrieval.search.query.words import Word, excerpt, quoted, split_words
from retrieval.spec.errors import QueryError
from retrieval.vision.decode import is_known_name

FILTER_KEYS = ("after", "before", "in", "type", "camera", "near")
MAX_WEIGHT = 1000.0

_KEY = re.compile(rf"({'|'.join(FILTER_KEYS)}):", re.IGNORECASE)
# A digit behind the colon makes it a time or a ratio, such as 12:30 or 16:9.
_WEIGHT = re.compile(r"(-?(?:\d+\.?\d*|\.\d+)):(?!\d)", re.ASCII)
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_SIGNS = {"+": 1.0, "-": -1.0}


def parse_query(text: str, *, files: bool = True) -> Query:
    """Sentences and photos joined by ``+`` and ``-``, and filters among them.

    Safe to call from any thread.

    Args:
        text: For instance ``beach + "sunset.jpg" - 0.5:people after:2023 in:holiday``.
        files: Whether words may name photos and folders of this machine. Without, nothing
            on disk is looked at, so that a visitor of a web page learns nothing of it.

    Raises:
        QueryError: Nothing is asked, or something that cannot be understood.
        PhotoError: A folder or a photo that a filter names is not there.
    """
    if not text.strip():
        raise QueryError("the query is empty: say in words what the photo shows")
    if files and (photo := _photo(text)) is not None:
        return Query((Term(Example(photo)),))
    terms: list[Term] = []
    asked: list[tuple[str, str]] = []
    sign: str | None = None
    group: list[Word] = []
    for word in split_words(text):
        if (key := _key(word)) is not None:
            asked.append((key, word.text[len(key) + 1 :]))
        elif not word.quoted and word.text in _SIGNS:
            if group:
                terms.append(_term(group, sign, files))
            elif sign is not None:
                raise _nothing_beside(word.text)
            sign, group = word.text, []
        else:
            group.append(word)
    if group:
        terms.append(_term(group, sign, files))
    elif sign is not None:
        raise _nothing_beside(sign)
    if not asked:
        return Query(tuple(terms))
    from retrieval.search.query.filters import filter_of  # only paid for when it is used

    return Query(tuple(terms), filter_of(asked, files=files))


def join_terms(query: str, add: Sequence[str] = (), subtract: Sequence[str] = ()) -> str:
    """One query of a query and of single terms to add to it and to take from it.

    Args:
        query: A query, which may be empty.
        add: Sentences or photos, each with or without a weight; operators in them are words.
        subtract: The same.
    """
    joined = [_named(query)] if query.strip() else []
    for sign, terms in (("+", add), ("-", subtract)):
        for term in terms:
            if joined or sign == "-":
                joined.append(sign)
            joined.append(_as_term(term))
    return " ".join(joined)


def ignored_end(sentence: str, tokenizer: Tokenizer) -> bool:
    """Whether a sentence is longer than the model's context, so that its end is not read."""
    return tokenizer.cuts(sentence)


def _key(word: Word) -> str | None:
    found = _KEY.match(word.plain)
    return None if found is None else found[1].lower()


def _term(words: list[Word], sign: str | None, files: bool) -> Term:
    weight, words = _weighted(words)
    # The first gap belongs to what came before; the others are part of what was typed.
    text = words[0].text + "".join(word.gap + word.text for word in words[1:])
    if not text.strip():
        raise QueryError('the query asks for "", which shows nothing; put words in the quotes')
    weight *= _SIGNS[sign or "+"]
    if files and (photo := _photo(text)) is not None:
        return Term(Example(photo), weight)
    if len(words) == 1 and not words[0].quoted:
        _check_name(text, files)
    # Bytes that a terminal passed on and that are no text cannot be tokenized.
    return Term(Sentence(text.encode("utf-8", "replace").decode()), weight)


def _weighted(words: list[Word]) -> tuple[float, list[Word]]:
    first = words[0]
    found = _WEIGHT.match(first.plain)
    if found is None:
        return 1.0, words
    weight = float(found[1])
    if not 0 < abs(weight) <= MAX_WEIGHT:
        raise QueryError(
            f"{excerpt(found[0])} is no weight: it must be above 0 and at most {MAX_WEIGHT:g}, "
            f'as in 2:cat or 0.5:"a black cat"'
        )
    start = found.end()
    rest = Word("", first.plain[start:], first.text[start:], first.quoted)
    if rest.text or rest.quoted:
        return weight, [rest, *words[1:]]
    if len(words) == 1:
        raise QueryError(f"nothing follows the weight {excerpt(found[0])} (write it as in 2:cat)")
    return weight, words[1:]


def _check_name(text: str, files: bool) -> None:
    if _URL.match(text):
        raise QueryError(
            f"{excerpt(text)} is an address, and leanclip fetches nothing; save the photo and "
            "give its path"
        )
    if is_known_name(Path(text)):
        if not files:
            raise QueryError(
                f"{excerpt(text)}: photos cannot be named here; put it in double quotes"
            )
        raise QueryError(
            f"{excerpt(text)}: there is no such photo to compare with; to mean the words, put it "
            "in double quotes inside the query"
        )


def _photo(text: str) -> Path | None:
    """The existing photo that ``text`` names, if it names one."""
    path = Path(text)
    if not is_known_name(path):
        return None
    try:
        path = path.expanduser()
        return path if path.is_file() else None
    except (OSError, RuntimeError, ValueError):
        # A long sentence is no possible file name, nor is one of an unknown ~user.
        return None


def _as_term(text: str) -> str:
    found = _WEIGHT.match(text)
    weight = found[0] if found else ""
    named = _named(text[len(weight) :])
    if any(
        not word.quoted and (word.text in _SIGNS or _key(word) is not None)
        for word in split_words(named)
    ):
        named = quoted(named.strip())
    return weight + named


def _named(text: str) -> str:
    # Names of photos may hold anything, and as a part of a longer query would be cut apart.
    return text if _photo(text) is None else quoted(text)


def _nothing_beside(sign: str) -> QueryError:
    return QueryError(
        f"something is missing beside a {sign} in the query: write red {sign} blue, or put the "
        f'sign in double quotes ("{sign}") if you mean it as text'
    )

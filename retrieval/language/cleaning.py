"""From a sentence as written to the words that byte pairs are made of, as CLIP does it."""

import re
import string
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal

START = "<start_of_text>"
END = "<end_of_text>"

_CONTRACTIONS = "'s|'t|'re|'ve|'m|'ll|'d"
_ASCII_WORD = re.compile(
    rf"{START}|{END}|{_CONTRACTIONS}|[a-z]+|[0-9]|[^\sa-z0-9]+", re.IGNORECASE | re.ASCII
)
_PUNCTUATION = str.maketrans({"_": " "} | dict.fromkeys(string.punctuation.replace("_", "")))
# No ampersand, because it may begin an HTML entity, and no control character but the
# three that count as white space: these are what ftfy and html.unescape would change.
_PLAIN = re.compile(r"[\t\n\r -%'-~]*")


def clean(
    sentence: str, *, lower_case: bool = True, cleaning: Literal["clip", "canonical"] = "clip"
) -> str:
    """Mend encoding errors, resolve HTML entities, fold white space, lower the case.

    ``canonical`` takes punctuation out as well, as SigLIP's evaluation does.

    Plain ASCII skips ftfy, whose import takes longer than a search and which would leave
    such a sentence as it is.
    """
    if _PLAIN.fullmatch(sentence) is None:
        sentence = _mend(sentence)
    if cleaning == "canonical":
        sentence = sentence.translate(_PUNCTUATION)
    folded = " ".join(sentence.split())
    return folded.lower() if lower_case else folded


def words(cleaned: str) -> Iterator[str]:
    """Words, contractions, single digits, runs of other signs, and the special tokens."""
    pattern = _ASCII_WORD if cleaned.isascii() else _unicode_word()
    for match in pattern.finditer(cleaned):
        yield match.group()


def _mend(sentence: str) -> str:
    import html

    import ftfy

    mended: str = ftfy.fix_text(sentence)
    return html.unescape(html.unescape(mended))


@cache
def _unicode_word() -> Any:
    import regex

    return regex.compile(
        rf"{START}|{END}|{_CONTRACTIONS}|[\p{{L}}]+|[\p{{N}}]|[^\s\p{{L}}\p{{N}}]+",
        regex.IGNORECASE,
    )

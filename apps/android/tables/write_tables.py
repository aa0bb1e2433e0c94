"""Write the tables that the core's tokenizer reads: Unicode, HTML entities, mojibake.

Phones differ in the Unicode version that their system knows, so the classes of characters
on which token ids depend travel with the app. Run again after Python, regex or ftfy moved
to a newer Unicode:

    python apps/android/tables/write_tables.py
"""

import itertools
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from html.entities import html5
from pathlib import Path

import regex
from ftfy.badness import BADNESS_RE
from ftfy.chardata import CHARMAP_ENCODINGS, HTML_ENTITIES, LIGATURES, UTF8_DETECTOR_RE

RESOURCES = Path(__file__).parents[1] / "core/src/main/resources/org/leanclip/core"

_SURROGATES = range(0xD800, 0xE000)
_SPACES = "".join(
    chr(code) for code in range(0x10000) if chr(code).isspace() and code not in _SURROGATES
)


def main() -> None:
    """Write the three files."""
    RESOURCES.mkdir(parents=True, exist_ok=True)
    for name, lines in (
        ("unicode.txt", unicode_lines()),
        ("entities.txt", entity_lines()),
        ("mojibake.txt", mojibake_lines()),
    ):
        (RESOURCES / name).write_text("".join(f"{line}\n" for line in lines), "ascii")


def unicode_lines() -> Iterator[str]:
    """Sections of ``first last`` ranges, and of ``first last step distance`` case mappings."""
    # As the tokenizer writes them: without regard to case, a class may hold other characters.
    letter, number, sign = (
        regex.compile(pattern, regex.IGNORECASE)
        for pattern in (r"[\p{L}]", r"[\p{N}]", r"[^\s\p{L}\p{N}]")
    )
    yield from _section("letters", lambda text: letter.match(text) is not None)
    yield from _section("numbers", lambda text: number.match(text) is not None)
    yield from _section(
        "between",
        lambda text: not any(kind.match(text) for kind in (letter, number, sign)),
    )
    yield from _section("spaces", str.isspace)
    # What str.lower knows of a character shows in what becomes of a sigma behind it.
    yield from _section("cased", lambda text: (text + "\u03a3").lower().endswith("\u03c2"))
    yield from _section("ignorable", _is_case_ignorable)
    yield "[lower]"
    pairs = [
        (code, ord(chr(code).lower()))
        for code in _code_points()
        if chr(code).lower() != chr(code) and len(chr(code).lower()) == 1
    ]
    yield from _mappings(pairs)


def entity_lines() -> Iterator[str]:
    """``name codes``; names that only the mending of text knows begin with ``^``."""
    for name, text in sorted(html5.items()):
        yield f"{name} {_hex(text)}"
    for name, text in sorted(HTML_ENTITIES.items()):
        if name[1:] not in html5:
            yield f"^{name[1:]} {_hex(text)}"


def mojibake_lines() -> Iterator[str]:
    """Upper halves of code pages, ligatures, and two patterns in portable syntax."""
    for encoding in CHARMAP_ENCODINGS:
        upper = bytes([*range(0x80, 0x100), 0x1A]).decode(encoding)
        yield f"page {encoding} {_hex(upper)}"
    for code, text in LIGATURES.items():
        yield f"ligature {code:x} {_hex(text)}"
    yield f"bad {portable(BADNESS_RE.pattern)}"
    yield f"utf8 {portable(UTF8_DETECTOR_RE.pattern)}"


def portable(verbose: str) -> str:
    """A verbose Python pattern in what Java and ICU both read: ASCII, without white space."""
    out, inside, skipping = [], False, False
    characters = iter(verbose)
    for character in characters:
        if skipping:
            skipping = character != "\n"
        elif character == "\\":
            out.append(_escaped(next(characters), characters, inside))
        elif inside:
            inside = character != "]"
            plain = re.match(r"[A-Za-z0-9\]\-^]", character)
            out.append(character if plain else _unit(character))
        elif character == "#":
            skipping = True
        elif character == "[":
            inside = True
            out.append(character)
        elif character == ".":
            out.append("[^\\u000a]")
        elif not character.isspace():
            out.append(character if character.isascii() else _unit(character))
    return "".join(out)


def _escaped(character: str, rest: Iterator[str], inside: bool) -> str:
    if character == "s":
        spaces = "".join(_unit(space) for space in _SPACES)
        return spaces if inside else f"[{spaces}]"
    if character == "w":
        return "[\\p{L}\\p{N}_]"
    if character == "x":
        return _unit(chr(int(next(rest) + next(rest), 16)))
    raise ValueError(f"no translation for \\{character}")


def _unit(character: str) -> str:
    return f"\\u{ord(character):04x}"


def _is_case_ignorable(text: str) -> bool:
    follows = ("A" + text + "\u03a3").lower().endswith("\u03c2")
    return follows and not (text + "\u03a3").lower().endswith("\u03c2")


def _section(name: str, holds: Callable[[str], bool]) -> Iterator[str]:
    yield f"[{name}]"
    flagged = ((code, holds(chr(code))) for code in _code_points())
    for kept, group in itertools.groupby(flagged, key=lambda pair: pair[1]):
        if kept:
            codes = [code for code, _ in group]
            yield from (f"{first:x} {last:x}" for first, last in _runs(codes))


def _runs(codes: list[int]) -> Iterator[tuple[int, int]]:
    first = previous = codes[0]
    for code in codes[1:]:
        if code != previous + 1:
            yield first, previous
            first = code
        previous = code
    yield first, previous


def _mappings(pairs: list[tuple[int, int]]) -> Iterator[str]:
    """Neighbours of equal distance share a line; capitals often stand at every second place."""
    place = 0
    while place < len(pairs):
        code, lower = pairs[place]
        step, last = 1, place
        while last + 1 < len(pairs):
            gap = pairs[last + 1][0] - pairs[last][0]
            same = pairs[last + 1][1] - pairs[last + 1][0] == lower - code
            if not same or gap > 2 or (last > place and gap != step):
                break
            step, last = gap, last + 1
        yield f"{code:x} {pairs[last][0]:x} {step} {lower - code}"
        place = last + 1


def _code_points() -> Iterable[int]:
    return (code for code in range(sys.maxunicode + 1) if code not in _SURROGATES)


def _hex(text: str) -> str:
    return " ".join(f"{ord(character):x}" for character in text)


if __name__ == "__main__":
    main()

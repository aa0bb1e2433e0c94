"""Write the tables that the page's tokenizer reads: HTML entities, and what garbled text is.

Python cleans sentences with these tables; the page must use the same ones. The second table is
the one of the Android shell, which `apps/android/tables/write_tables.py` makes from ftfy
(Apache-2.0, see NOTICE). Run both again when Python or ftfy has changed:

    python apps/web/write_tables.py
"""

import json
from html.entities import html5
from pathlib import Path

WEB = Path(__file__).parent
LANGUAGE = WEB / "src" / "language"
GARBLED = WEB.parent / "android/core/src/main/resources/org/leanclip/core/mojibake.txt"

_NOTE = "as written by write_tables.py; do not edit. */"


def tables() -> dict[Path, str]:
    """The modules' texts, by file."""
    return {
        LANGUAGE / "entities.js": entities(),
        LANGUAGE / "garbled.js": garbled(GARBLED.read_text("ascii").splitlines()),
    }


def entities() -> str:
    """One long line of data, since nobody reads it."""
    table = json.dumps(dict(sorted(html5.items())), separators=(",", ":"))
    return (
        f"/** HTML's named characters, {_NOTE}\n"
        f"export const ENTITIES = new Map(Object.entries({table}));\n"
    )


def garbled(lines: list[str]) -> str:
    """Upper halves of code pages, and the patterns of what looks like text read in one."""
    pages, patterns = {}, {}
    for line in lines:
        kind, _, rest = line.partition(" ")
        if kind == "page":
            name, *codes = rest.split()
            pages[name] = "".join(chr(int(code, 16)) for code in codes)
        elif kind in ("bad", "utf8"):
            patterns[kind] = rest
    return (
        f"/** What garbled text looks like, {_NOTE}\n"
        "\n/** Characters of bytes 0x80 to 0xff and then of 0x1a, by code page. */\n"
        f"export const CODE_PAGES = {json.dumps(pages, indent=2)};\n"
        f"\nexport const BAD = /{patterns['bad']}/u;\n"
        f"\nexport const UTF8 = /{patterns['utf8']}/gu;\n"
    )


if __name__ == "__main__":
    for path, text in tables().items():
        path.write_text(text, "utf-8")

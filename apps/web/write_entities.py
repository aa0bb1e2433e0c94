"""Write `src/language/entities.js`: HTML's named characters, from Python's copy of the standard.

Python cleans sentences with this table; the page must use the same one. Run it again when the
standard gains a name:

    python apps/web/write_entities.py
"""

import json
from html.entities import html5
from pathlib import Path

TARGET = Path(__file__).parent / "src" / "language" / "entities.js"


def source() -> str:
    """The module's text: one long line of data, since nobody reads it."""
    table = json.dumps(dict(sorted(html5.items())), separators=(",", ":"))
    return (
        "/** HTML's named characters, as written by write_entities.py; do not edit. */\n"
        f"export const ENTITIES = new Map(Object.entries({table}));\n"
    )


if __name__ == "__main__":
    TARGET.write_text(source(), "utf-8")

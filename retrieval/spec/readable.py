"""File names as text: what a name holds is bytes, and some of them act where they are shown."""

import os
from pathlib import Path


def spelt_out(path: Path | str) -> str:
    """A path or name that every text format can hold; bytes that are no UTF-8 are spelt out."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def readable(path: Path | str) -> str:
    """The same for people: what a terminal or a page would not print is spelt out, too."""
    text = spelt_out(path)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)

"""Formats of JSON files carry numbers, which say when a file needs a newer leanclip."""

import json
from pathlib import Path

from retrieval.spec.errors import LeanclipError


def refuse_newer(path: Path, text: str, newest: int, refusal: type[LeanclipError]) -> None:
    """Refuse a file of a format that only a later leanclip reads.

    Asked for before the content is validated, since a newer format may have any. What is
    damaged or claims no format is left to whoever validates it.

    Args:
        path: The file.
        text: What stands in it.
        newest: The highest format that is read here.
        refusal: The error to raise.

    Raises:
        LeanclipError: As ``refusal``: the file claims a higher format.
    """
    try:
        value = json.loads(text)
    except ValueError:
        return
    found = value.get("format") if isinstance(value, dict) else None
    if isinstance(found, int) and found > newest:
        raise refusal(
            f"{path} has format {found}, this leanclip reads up to {newest}: "
            "pip install --upgrade leanclip"
        )

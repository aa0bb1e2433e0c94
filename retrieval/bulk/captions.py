"""What stands beside a photo: its caption, and the fields of its ``.json``."""

import json
from collections.abc import Callable
from typing import Any

from retrieval.spec.errors import CorpusError

Beside = Callable[[str], bytes | None]
"""Content of the file with a photo's name and the given extension; None without one."""

# The names of columns that are written anyway.
_OWN = ("image_path", "caption", "metadata")


def caption_beside(beside: Beside) -> str | None:
    """The caption of a photo: its ``.txt``, else ``caption`` or ``captions`` of its ``.json``.

    A ``.txt`` is one caption however many lines it has, as clip-retrieval takes it; of a list
    in the ``.json`` it is the first, since a row has one vector of each side.

    Raises:
        CorpusError: A file is not UTF-8 or not JSON.
    """
    content = beside("txt")
    if content is not None:
        return _text(content, "txt").strip() or None
    described = _json(beside)
    listed = described.get("captions")
    first = listed[0] if isinstance(listed, list) and listed else None
    for found in (described.get("caption"), first):
        if isinstance(found, str) and found.strip():
            return found.strip()
    return None


def fields_beside(beside: Beside) -> dict[str, Any]:
    """What the ``.json`` beside a photo says, objects inside it as ``outer.inner``.

    Raises:
        CorpusError: The file is not UTF-8 or not JSON.
    """
    fields: dict[str, Any] = {}
    _flatten(_json(beside), "", fields)
    return {name: value for name, value in fields.items() if name not in _OWN}


def _flatten(value: dict[str, Any], prefix: str, into: dict[str, Any]) -> None:
    for name, one in value.items():
        if isinstance(one, dict):
            _flatten(one, f"{prefix}{name}.", into)
        else:
            into[f"{prefix}{name}"] = one


def _json(beside: Beside) -> dict[str, Any]:
    content = beside("json")
    if content is None:
        return {}
    try:
        value = json.loads(_text(content, "json"))
        # Escapes can spell halves of characters, which no other format holds.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"its .json is not JSON ({error})") from error
    return value if isinstance(value, dict) else {}


def _text(content: bytes, extension: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(f"its .{extension} is not UTF-8") from error

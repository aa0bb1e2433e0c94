"""What is wrong with a recipe, as one line in the recipe's own words."""

import difflib
import reprlib
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails


def first_complaint(error: ValidationError, model: type[BaseModel], value: Any) -> str:
    """The first error, by the path of the entry as it is written in the recipe.

    Args:
        error: What validating ``value`` raised.
        model: What it was validated as.
        value: Plain data, as YAML gave it.

    Returns:
        Such as ``stages.0.temperatur: there is no such entry; did you mean temperature?``
    """
    # A misspelt entry also leaves the right one missing; the misspelling is what to show.
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    place = _as_written(first, value)
    # Each member of a union that was tried complains of the same place.
    same = [one for one in error.errors() if _as_written(one, value) == place]
    text = " or ".join(dict.fromkeys(_message(one, model) for one in same))
    others = len({_as_written(one, value) for one in error.errors()}) - 1
    return (f"{place}: " if place else "") + text + (f" (and {others} more)" if others else "")


def _message(error: ErrorDetails, model: type[BaseModel]) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            known = _keys_at(model, error["loc"][:-1])
            return f"there is no such entry; {_suggestion(str(error['loc'][-1]), known)}"
        case "union_tag_not_found":
            return f"needs an entry {context['discriminator']}"
        case "union_tag_invalid":
            expected, tag = context["expected_tags"], context["tag"]
            return f"{context['discriminator']} must be one of {expected}, not '{tag}'"
        case "value_error":
            return error["msg"].removeprefix("Value error, ")
        case "model_type":
            return f"should hold entries ({', '.join(_keys_at(model, error['loc']))})"
        case "too_short":
            return "is empty"
    text = error["msg"].partition(", unable")[0].replace("tuple", "list")
    return f"{text[:1].lower()}{text[1:]}, not {reprlib.repr(error['input'])}"


def _as_written(error: ErrorDetails, value: Any) -> str:
    """The parts of an error's location that are keys or positions in ``value``.

    Pydantic also names which member of a union it tried; nobody wrote that.
    """
    parts = []
    for part in error["loc"]:
        here = isinstance(value, dict) and part in value
        there = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if here or there:
            value = value[part]
            parts.append(str(part))
    if error["type"] == "missing":
        parts.append(str(error["loc"][-1]))
    return ".".join(parts)


def _suggestion(key: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(key, known, n=2)
    return f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known)}"


def _keys_at(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """Entries that may stand at a location."""
    models = [model]
    for part in loc:
        fields = [m.model_fields[part] for m in models if part in m.model_fields]
        if fields:
            models = [found for field in fields for found in _models_in(field.annotation)]
        elif isinstance(part, str):
            models = [m for m in models if _is_tagged(m, part)] or models
    return [field.alias or key for m in models for key, field in m.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _models_in(part)]


def _is_tagged(model: type[BaseModel], tag: str) -> bool:
    annotations = [field.annotation for field in model.model_fields.values()]
    return any(get_origin(one) is Literal and tag in get_args(one) for one in annotations)

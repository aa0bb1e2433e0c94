"""What the filters of a query mean: ``after:2023-05 in:holiday type:png``."""

import datetime
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from retrieval.catalog.filters import GeoBox, PhotoFilter
from retrieval.search.query.places import box_near
from retrieval.search.query.words import excerpt
from retrieval.search.scan import resolved_folder
from retrieval.spec.errors import QueryError
from retrieval.vision.formats import RAW_SUFFIXES, VIDEO_SUFFIXES

TYPES: dict[str, tuple[str, ...]] = {
    "jpeg": (".jpg", ".jpeg"),
    "png": (".png",),
    "webp": (".webp",),
    "avif": (".avif",),
    "gif": (".gif",),
    "tiff": (".tif", ".tiff"),
    "bmp": (".bmp",),
    "heic": (".heic", ".heif"),
    "raw": tuple(sorted(RAW_SUFFIXES)),
    "video": tuple(sorted(VIDEO_SUFFIXES)),
}
"""Kinds of files by the name that a query gives them."""

_SINGLE = {suffix.removeprefix("."): (suffix,) for suffix in RAW_SUFFIXES | VIDEO_SUFFIXES}

_ALIASES = {"jpg": "jpeg", "tif": "tiff", "heif": "heic"}
_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?", re.ASCII)
_EPOCH = datetime.date(1970, 1, 1).toordinal()
_SECONDS_PER_DAY = 86_400
_EXAMPLES = {
    "after": "after:2023-05",
    "before": "before:2024-01-31",
    "in": "in:holiday",
    "type": "type:png",
    "camera": 'camera:"Canon EOS"',
    "near": "near:59.91,10.75",
}


def filter_of(asked: Sequence[tuple[str, str]], *, files: bool) -> PhotoFilter:
    """One filter of all keys and values of a query.

    Photos must be later than every ``after`` and earlier than every ``before``, and lie in
    any of the folders and be of any of the types.

    Args:
        asked: Keys of `FILTER_KEYS` and their values, as typed.
        files: Whether values may name files and folders of this machine.

    Raises:
        QueryError: A value is missing or cannot be understood.
        PhotoError: A folder or photo is not there.
    """
    wanted = PhotoFilter()
    for key, value in asked:
        if not value.strip():
            raise QueryError(
                f"{key}: needs a value right behind it, as in {_EXAMPLES[key]}; to mean the word, "
                f'put it in double quotes: "{key}:"'
            )
        match key:
            case "after":
                since = _first_second(key, value)
                earlier = wanted.after
                wanted = replace(wanted, after=since if earlier is None else max(since, earlier))
            case "before":
                end = _first_second(key, value)
                later = wanted.before
                wanted = replace(wanted, before=end if later is None else min(end, later))
            case "in":
                wanted = _in_folder(wanted, value, files)
            case "type":
                wanted = replace(wanted, suffixes=wanted.suffixes + _suffixes(value))
            case "camera":
                _refuse_second(key, wanted.camera)
                wanted = replace(wanted, camera=value.strip())
            case "near":
                _refuse_second(key, wanted.near)
                wanted = replace(wanted, near=box_near(value, files=files))
    return wanted


def _first_second(key: str, value: str) -> int:
    """When a year, a month or a day begins, in wall-clock seconds since 1970."""
    found = _DATE.fullmatch(value.strip())
    try:
        if found is None:
            raise ValueError
        year, month, day = (int(part or 1) for part in found.groups())
        return (datetime.date(year, month, day).toordinal() - _EPOCH) * _SECONDS_PER_DAY
    except ValueError as error:
        typed = f"{key}:{excerpt(value)}"
        raise QueryError(
            f"{typed} is no date; write {key}:2023, {key}:2023-05 or {key}:2023-05-17, or put it "
            f'in double quotes to mean the words: "{typed}"'
        ) from error


def _in_folder(wanted: PhotoFilter, value: str, files: bool) -> PhotoFilter:
    path = Path(value)
    if path.is_absolute() or value.startswith("~") or value.split("/")[0] in {".", ".."}:
        if not files:
            raise QueryError(
                f"in:{excerpt(value)}: name the folder without its path, as in in:holiday"
            )
        return replace(wanted, folders=(*wanted.folders, resolved_folder(path)))
    return replace(wanted, folder_names=(*wanted.folder_names, path))


def _suffixes(value: str) -> tuple[str, ...]:
    name = value.strip().lower().removeprefix(".")
    found = TYPES.get(_ALIASES.get(name, name)) or _SINGLE.get(name)
    if found is None:
        raise QueryError(f"type:{excerpt(value)} is not known; write one of {', '.join(TYPES)}")
    return found


def _refuse_second(key: str, earlier: str | GeoBox | None) -> None:
    if earlier is not None:
        raise QueryError(f"{key}: may stand once in a query; leave one of them out")

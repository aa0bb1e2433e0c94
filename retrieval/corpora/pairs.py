"""Captioned photos: JSON lines of ``{"image": "dev/x.jpg", "captions": ["...", ...]}``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.corpora.lines import numbered_lines
from retrieval.corpora.shards import is_shards_name, shard_captions
from retrieval.spec.errors import CorpusError

_EXPECTED = 'expected {"image": "folder/photo.jpg", "captions": ["a sentence", ...]}'


@dataclass(frozen=True, slots=True)
class CaptionedPhoto:
    """A photo and the sentences that people wrote about it."""

    image: Path
    captions: tuple[str, ...]
    """At least one; none is blank."""


def is_pairs_name(path: Path) -> bool:
    """Whether a file name says captioned photos rather than plain sentences."""
    return path.name.removesuffix(".gz").endswith(".jsonl") or is_shards_name(path)


def read_pairs(path: Path) -> list[CaptionedPhoto]:
    """Read captioned photos from JSON lines (or ``.jsonl.gz``), in the order of the file.

    Paths of photos are relative to the file. A photo that several lines name becomes one
    entry with the captions of all of them, since two copies of a photo would compete with
    each other in retrieval. Keys other than ``image`` and ``captions`` are ignored. Webdataset
    shards are read too (see `retrieval.corpora.shards`).

    Raises:
        CorpusError: A line is malformed, a photo is missing, or nothing is in the file; a
            shard is missing or damaged, or one of its photos has no caption.
    """
    if is_shards_name(path):
        return _read_shards(path)
    captions: dict[Path, list[str]] = {}
    line_of: dict[Path, int] = {}
    for number, text in numbered_lines(path):
        image, sentences = _parse(text, f"{path}:{number}")
        photo = path.parent / image
        captions.setdefault(photo, []).extend(sentences)
        line_of.setdefault(photo, number)
    if not captions:
        raise CorpusError(f"{path}: holds no captioned photos; {_EXPECTED} on each line")
    _require_photos(path, line_of)
    return [CaptionedPhoto(photo, tuple(sentences)) for photo, sentences in captions.items()]


def _read_shards(path: Path) -> list[CaptionedPhoto]:
    pairs = [CaptionedPhoto(photo, tuple(captions)) for photo, captions in shard_captions(path)]
    if not pairs:
        raise CorpusError(f"{path}: holds no captioned photos")
    return pairs


def flatten_captions(pairs: Sequence[CaptionedPhoto]) -> tuple[list[str], list[int]]:
    """All captions in order, and for each the index of its photo in ``pairs``."""
    captions = [caption for pair in pairs for caption in pair.captions]
    photo_of_caption = [index for index, pair in enumerate(pairs) for _ in pair.captions]
    return captions, photo_of_caption


def _parse(text: str, place: str) -> tuple[str, list[str]]:
    value = parse_object(text, place, ("image", "captions"), _EXPECTED)
    image = value["image"]
    if not isinstance(image, str) or not image or "\0" in image:
        raise CorpusError(f"{place}: image must be the path of a photo; {_EXPECTED}")
    return image, captions_of(value, place, _EXPECTED)


def parse_object(text: str, place: str, keys: Sequence[str], expected: str) -> dict[str, Any]:
    """A JSON object that has these keys.

    Args:
        text: One line.
        place: File and line, for messages.
        keys: What it must have; others are allowed.
        expected: An example, for messages.

    Raises:
        CorpusError: It is none.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{place}: not JSON ({error}); {expected}") from error
    if not isinstance(value, dict):
        raise CorpusError(f"{place}: not a JSON object; {expected}")
    missing = [key for key in keys if key not in value]
    if missing:
        raise CorpusError(f"{place}: no {' and no '.join(missing)}; {expected}")
    return value


def captions_of(value: Mapping[str, Any], place: str, expected: str) -> list[str]:
    """The ``captions`` of a `parse_object`.

    Raises:
        CorpusError: They are not a list of sentences, or one is blank.
    """
    captions = value["captions"]
    if not isinstance(captions, list) or not all(isinstance(one, str) for one in captions):
        raise CorpusError(f"{place}: captions must be a list of sentences; {expected}")
    if not captions or not all(one.strip() for one in captions):
        raise CorpusError(f"{place}: captions are empty; each photo needs at least one sentence")
    return captions


def _require_photos(path: Path, line_of: dict[Path, int]) -> None:
    missing = [photo for photo in line_of if not photo.is_file()]
    if missing:
        first = missing[0]
        more = f" (and {len(missing) - 1} more of {len(line_of)})" if len(missing) > 1 else ""
        raise CorpusError(
            f"{path}:{line_of[first]}: no such photo {first}{more}; "
            "paths are relative to the folder of the file"
        )

"""Webdataset shards: tar files in which members of one name belong together.

``0001.jpg`` and ``0001.txt`` are a photo and its caption. Webdataset streams such files and
shuffles in a buffer; here they become photos with addresses (`retrieval.vision.members`), in
one order over all shards. A teacher's cache, an order of random batches, a process's part of
each batch and the middle of an epoch are all numbers in that order: so no two processes see
the same photo, and a resumed epoch goes on with exactly the rest. The price is reading at
random places, which local disks and the page cache do well.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from retrieval.spec.errors import CorpusError, MissingExtraError
from retrieval.vision.decode import PHOTO_SUFFIXES
from retrieval.vision.members import TAR, members, open_file

_CAPTIONS = ("json", "txt")

Sample = dict[str, Any]
"""Members by extension, each as its path; ``__key__`` is the name that they share."""


def is_shards_name(path: Path) -> bool:
    """Whether a name says shards: ``photos.tar``, or ``photos-{000..003}.tar`` for several."""
    return path.suffix == TAR


def find_shards(pattern: Path) -> list[Path]:
    """The tar files of a pattern, in order; braces as webdataset writes them.

    Raises:
        CorpusError: One of them does not exist.
        MissingExtraError: webdataset is not installed.
    """
    if pattern.is_file():
        return [pattern]
    expand: Callable[[str], list[str]] = _webdataset().shardlists.expand_urls
    shards = [Path(name) for name in expand(str(pattern))]
    missing = [shard for shard in shards if not shard.is_file()]
    if missing:
        of = f" ({len(missing)} of {len(shards)} shards are missing)" if len(shards) > 1 else ""
        raise CorpusError(f"{missing[0]}: no such file{of}")
    return shards


def shard_photos(pattern: Path) -> list[Path]:
    """Every photo of some shards, as ``shard.tar/name.jpg``, in their order.

    Raises:
        CorpusError: A shard is missing or damaged, or there is no photo in any.
    """
    photos = [photo for sample in _samples(pattern) for photo in _photos(sample)]
    if not photos:
        raise CorpusError(f"{pattern}: no photos in these shards")
    return photos


def has_captions(pattern: Path) -> bool:
    """Whether the first sample of some shards has a caption; then all must have one."""
    sample = next(_samples(pattern), {})
    return any(name in sample for name in _CAPTIONS)


def shard_captions(pattern: Path) -> Iterator[tuple[Path, list[str]]]:
    """Each photo of some shards and its captions.

    Captions are ``captions`` (a list) or ``caption`` of a ``.json``, or the lines of a
    ``.txt``. Where both are there, ``captions`` comes first, then the ``.txt``.

    Raises:
        CorpusError: A shard is missing or damaged, or a photo has no caption.
    """
    for sample in _samples(pattern):
        for photo in _photos(sample):
            captions = _captions(sample)
            if not captions:
                raise CorpusError(
                    f"{photo}: no caption beside it; expected a .txt or .json of the same name "
                    "right before or after it"
                )
            yield photo, captions


def _samples(pattern: Path) -> Iterator[Sample]:
    group: Callable[..., Iterator[Sample]] = _webdataset().tariterators.group_by_keys
    for shard in find_shards(pattern):
        named = (
            {"fname": name, "data": shard / name, "__url__": str(shard)} for name in members(shard)
        )
        try:
            yield from group(named)
        except ValueError as error:
            raise CorpusError(f"{shard}: {' '.join(str(error.args[0]).split())}") from error


def _photos(sample: Sample) -> list[Path]:
    return [path for extension, path in sample.items() if f".{extension}" in PHOTO_SUFFIXES]


def _captions(sample: Sample) -> list[str]:
    described: Any = {}
    if "json" in sample:
        try:
            described = json.loads(_text(sample["json"]))
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{sample['json']}: not JSON ({error})") from error
    found: list[Any] = []
    if isinstance(described, dict) and isinstance(described.get("captions"), list):
        found = described["captions"]
    elif "txt" in sample:
        found = _text(sample["txt"]).splitlines()
    elif isinstance(described, dict):
        found = [described.get("caption")]
    return [one.strip() for one in found if isinstance(one, str) and one.strip()]


def _text(path: Path) -> str:
    with open_file(path) as stream:
        try:
            return stream.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise CorpusError(f"{path}: not UTF-8; save it as UTF-8") from error


def _webdataset() -> Any:
    try:
        import webdataset
    except ModuleNotFoundError as error:
        raise MissingExtraError("reading webdataset shards", "distributed") from error
    return webdataset

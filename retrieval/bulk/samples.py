"""The photos of one shard as files that a decoder opens, each with what stands beside it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from retrieval.bulk.captions import Beside, caption_beside, fields_beside
from retrieval.bulk.folder import Skipped
from retrieval.bulk.sources import ShardSource
from retrieval.catalog.records import PhotoFile
from retrieval.spec.errors import CorpusError
from retrieval.spec.readable import spelt_out
from retrieval.vision.decode import PHOTO_SUFFIXES
from retrieval.vision.members import Member, members

_COPIED_BYTES = 1 << 20


class Wanted(NamedTuple):
    """What is read beside a photo."""

    captions: bool
    fields: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """One photo."""

    name: str
    """What the metadata calls it: its path, or ``shard.tar/name.jpg``."""
    file: PhotoFile
    """Where it can be decoded from."""
    copied: bool = False
    """Whether that is a copy of a tar file's member, to be removed."""
    caption: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)


def count_photos(source: ShardSource) -> int:
    """How many photos a shard has.

    Raises:
        CorpusError: A tar file is missing or damaged.
    """
    if source.names is not None:
        return len(source.names)
    return sum(1 for _ in _tar_photos(members(source.path)))


def has_caption(source: ShardSource) -> bool:
    """Whether the first photo of a shard has a caption.

    Raises:
        CorpusError: A tar file is damaged, or what stands beside the photo is.
    """
    if source.names is not None:
        return caption_beside(_beside_file(source.path / source.names[0])) is not None
    with source.path.open("rb") as stream:
        for _, group in islice(_tar_photos(members(source.path)), 1):
            return caption_beside(_beside_member(stream, group)) is not None
    return False


def read_samples(source: ShardSource, wanted: Wanted, aside: Path) -> Iterator[Sample | Skipped]:
    """The photos of a shard in their order, and those that cannot be used.

    Args:
        source: The shard. A tar file is read once, from its beginning to its end, whatever the
            decoders do: it may lie on a network.
        wanted: A photo without a wanted caption is skipped, as clip-retrieval does.
        aside: An empty folder on a fast disk. Members of a tar file are copied there one by
            one; who has decoded one removes it.

    Raises:
        CorpusError: A tar file is missing or damaged.
        OSError: It cannot be read, or ``aside`` is full.
    """
    if source.names is None:
        return _tar_samples(source.path, wanted, aside)
    return _folder_samples(source.path, source.names, wanted)


def _folder_samples(
    folder: Path, names: tuple[str, ...], wanted: Wanted
) -> Iterator[Sample | Skipped]:
    for name in names:
        path = folder / name
        try:
            state = path.stat()
            file = PhotoFile(path, state.st_size, state.st_mtime_ns)
            yield _sample(str(path), file, _beside_file(path), wanted)
        except OSError as error:
            yield _skipped(str(path), f"cannot be read: {error.strerror}")


def _tar_samples(tar: Path, wanted: Wanted, aside: Path) -> Iterator[Sample | Skipped]:
    index = members(tar)
    with tar.open("rb") as stream:
        for number, (name, group) in enumerate(_tar_photos(index)):
            beside = _beside_member(stream, group)
            copy = aside / f"{number}{PurePosixPath(name).suffix}"
            found = _sample(f"{tar}/{name}", PhotoFile(copy, index[name].size, 0), beside, wanted)
            if isinstance(found, Sample):
                _copy(stream, index[name], copy)
                found = replace(found, copied=True)
            yield found


def _sample(name: str, file: PhotoFile, beside: Beside, wanted: Wanted) -> Sample | Skipped:
    try:
        caption = caption_beside(beside) if wanted.captions else None
        fields = fields_beside(beside) if wanted.fields else {}
    except CorpusError as error:
        return _skipped(name, str(error))
    if wanted.captions and caption is None:
        return _skipped(name, "no caption beside it")
    return Sample(name, file, caption=caption, fields=fields)


def _tar_photos(index: Mapping[str, Member]) -> Iterator[tuple[str, dict[str, Member]]]:
    """Each photo, and by extension the members that share its name up to the first dot."""
    groups: dict[str, dict[str, Member]] = {}
    photos: list[tuple[str, str]] = []
    for name, member in index.items():
        path = PurePosixPath(name)
        stem, _, extension = path.name.partition(".")
        if not stem:
            continue
        key = str(path.parent / stem)
        groups.setdefault(key, {})[extension.lower()] = member
        if f".{extension.lower()}" in PHOTO_SUFFIXES:
            photos.append((name, key))
    return ((name, groups[key]) for name, key in photos)


def _beside_file(photo: Path) -> Beside:
    def read(extension: str) -> bytes | None:
        try:
            return photo.with_suffix(f".{extension}").read_bytes()
        except FileNotFoundError:
            return None

    return read


def _beside_member(stream: BinaryIO, group: dict[str, Member]) -> Beside:
    def read(extension: str) -> bytes | None:
        member = group.get(extension)
        if member is None:
            return None
        stream.seek(member.offset)
        return stream.read(member.size)

    return read


def _copy(stream: BinaryIO, member: Member, path: Path) -> None:
    stream.seek(member.offset)
    left = member.size
    try:
        with path.open("wb") as copy:
            while left:
                block = stream.read(min(left, _COPIED_BYTES))
                if not block:
                    raise CorpusError(f"{stream.name} was cut off while it was read")
                copy.write(block)
                left -= len(block)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path.parent)) from error


def _skipped(name: str, why: str) -> Skipped:
    return Skipped(photo=spelt_out(name), why=spelt_out(why))

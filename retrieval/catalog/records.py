"""What the catalog takes and gives: plain values, without SQL."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PhotoState = Literal["ready", "damaged", "unreadable"]
"""``damaged``: the bytes are no photo, not tried again until the file changes.
``unreadable``: the system refused to read it, tried again each time."""


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """A photo as the file system shows it; a change of size or time means new content."""

    path: Path
    size: int
    """Bytes."""
    mtime_ns: int
    """Last modification, nanoseconds since 1970."""


@dataclass(frozen=True, slots=True)
class PhotoDetails:
    """What a photo's content says; None where it says nothing."""

    content_sha256: bytes | None = None
    """Of the whole file: a renamed, moved or copied photo is known by it."""
    width: int | None = None
    """Pixels, upright."""
    height: int | None = None
    taken_at: int | None = None
    """What the camera's clock showed, as seconds since 1970 of that wall clock: photos carry
    no time zone that can be relied on."""
    camera: str | None = None
    """Maker and model, as one text."""
    latitude: float | None = None
    """Degrees, north positive."""
    longitude: float | None = None
    """Degrees, east positive."""
    duration_ms: int | None = None
    """Of a video."""


@dataclass(frozen=True, slots=True)
class FoundPhoto:
    """The photo behind one row of a vector file."""

    id: int
    path: Path
    moment_ms: int | None
    """Where in a video the row's frame lies; None for a photo."""


@dataclass(frozen=True, slots=True)
class KnownPhoto:
    """What the catalog remembers of one photo, seen from one embedding space."""

    id: int
    size: int
    mtime_ns: int
    state: PhotoState
    gone: bool
    """The file had vanished when its folder was last read."""
    has_vector: bool
    """Its present content is embedded in the space asked about."""

    def is_same_as(self, file: PhotoFile) -> bool:
        """Whether the file on disk is, by size and time, the one that was catalogued."""
        return self.size == file.size and self.mtime_ns == file.mtime_ns


@dataclass(frozen=True, slots=True)
class Space:
    """An embedding space: all vectors that one model made."""

    id: int
    fingerprint: str
    model: str
    """The model's name, for people."""
    source: str | None
    """What `--model` opens it again: ``default`` or a bundle folder."""
    dim: int
    whole_at: int | None
    """When the space last held every photo of the catalog, seconds since 1970."""


@dataclass(frozen=True, slots=True)
class SpaceCount:
    """A space with the number of photos that can be found in it."""

    space: Space
    photos: int
    rows: int
    """Vectors on disk, with those of changed and deleted photos."""


@dataclass(frozen=True, slots=True)
class KnownRoot:
    """A folder that was named to be indexed."""

    path: Path
    indexed_at: int
    """When it was last read to its end, seconds since 1970; 0 for never."""
    rules: str
    """By which it is read, as JSON."""


@dataclass(frozen=True, slots=True)
class FolderCount:
    """An indexed folder with its photos and its files that could not be read."""

    path: Path
    indexed_at: int
    """When it was last read to its end, seconds since 1970; 0 for never."""
    photos: int
    skipped: int
    rules: str = "{}"
    """By which it is read, as JSON."""
    videos: int = 0
    """How many of the photos are videos."""


def to_bytes(path: Path) -> bytes:
    """A path as the catalog stores it; names that are not valid text survive."""
    return os.fsencode(path)


def to_path(stored: bytes) -> Path:
    """The path that `to_bytes` stored."""
    return Path(os.fsdecode(stored))


def range_below(folder: Path) -> tuple[bytes, bytes]:
    """First and one-past-last stored path of everything below ``folder``."""
    separator = os.fsencode(os.sep)
    stem = to_bytes(folder).rstrip(separator)
    return stem + separator, stem + bytes([separator[0] + 1])

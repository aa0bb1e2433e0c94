"""What is to be embedded, cut into shards: a tar file each, or a piece of a folder's listing."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval.corpora.photos import find_photos
from retrieval.corpora.shards import find_shards, is_shards_name
from retrieval.spec.errors import CorpusError


@dataclass(frozen=True, slots=True)
class ShardSource:
    """Where the photos of one shard lie."""

    path: Path
    """A tar file, or a folder."""
    names: tuple[str, ...] | None = None
    """Photos of a folder, relative to it, in order; None for a tar file."""
    bytes: int = 0
    """Of a tar file."""


def named_sources(sources: Sequence[Path]) -> list[str]:
    """Absolute names of folders and of patterns of tar files.

    Links stay as they are: on several machines the user's path is the one that they share.

    Raises:
        CorpusError: A name is not valid text, or was given twice.
    """
    names = [os.path.abspath(source.expanduser()) for source in sources]  # noqa: PTH100
    for place, name in enumerate(names):
        if name.encode("utf-8", "replace").decode() != name:
            raise CorpusError(f"{ascii(name)}: the name is not valid UTF-8; rename it")
        if name in names[:place]:
            raise CorpusError(f"{name}: named twice")
    return names


def cut_sources(names: Sequence[str], shard_size: int) -> list[ShardSource]:
    """The shards of some sources, in the order in which their rows will stand.

    Args:
        names: As `named_sources` gives them.
        shard_size: Photos of one piece of a folder. A tar file is one shard, whatever it holds.

    Raises:
        CorpusError: A folder or a tar file is missing, or there is no photo in a folder.
        MissingExtraError: Tar files are named and webdataset is not installed.
    """
    shards: list[ShardSource] = []
    for name in map(Path, names):
        if is_shards_name(name) and not name.is_dir():
            shards += [ShardSource(tar, bytes=tar.stat().st_size) for tar in find_shards(name)]
        else:
            photos = [str(photo.relative_to(name)) for photo in find_photos(name)]
            shards += [
                ShardSource(name, tuple(photos[start : start + shard_size]))
                for start in range(0, len(photos), shard_size)
            ]
    return shards

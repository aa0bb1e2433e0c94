"""Photos of a folder, as training and caching see it: sorted, recursive, nothing hidden."""

import os
from pathlib import Path

from retrieval.corpora.shards import is_shards_name, shard_photos
from retrieval.spec.errors import CorpusError
from retrieval.vision.decode import is_photo_name


def find_photos(folder: Path) -> list[Path]:
    """Every photo below ``folder``, sorted by path; hidden files and folders left out.

    Photos are recognised by suffix and not opened. Links to folders are not followed, so
    that a loop of links cannot hang. Instead of a folder, webdataset shards may be named;
    their photos come in the order of the shards.

    Raises:
        CorpusError: No such folder, it cannot be listed, or no photo is in it; a shard is
            missing or damaged.
    """
    if is_shards_name(folder) and not folder.is_dir():
        return shard_photos(folder)
    if not folder.is_dir():
        raise CorpusError(f"{folder}: no such folder of photos")
    photos: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        photos += [
            Path(place, name)
            for name in names
            if not name.startswith(".") and is_photo_name(Path(name))
        ]
    if not photos:
        raise CorpusError(f"{folder}: no photos in this folder or below it")
    return sorted(photos)


def _refuse(error: OSError) -> None:
    raise CorpusError(f"{error.filename}: cannot be listed: {error.strerror}") from error

"""Download an archive into a folder, and believe only its hash."""

import shutil
from pathlib import Path
from typing import Final

from retrieval.corpora.fetch.datasets import Source
from retrieval.spec.errors import CorpusError
from retrieval.spec.files import sha256_file
from retrieval.transfer.errors import TransferError
from retrieval.transfer.transfer import Progress, transfer

PART: Final = ".part"
"""What the name of an unfinished download ends in."""


def download(source: Source, target: Path, *, progress: Progress, pause: float = 1.0) -> None:
    """Bring a file to ``target`` and check its hash; nothing is fetched twice.

    What has arrived lies in ``target.part``; `transfer` goes on from there.

    Args:
        source: Address, bytes and hash.
        target: Appears only when it is whole and right.
        progress: Told after each block.
        pause: As for `transfer`.

    Raises:
        CorpusError: There is no route to the server, it refuses, the disk is full, or the
            file has another hash than it should.
    """
    part = target.with_name(target.name + PART)
    part.parent.mkdir(parents=True, exist_ok=True)
    _require_space(source, part)
    try:
        transfer(source.url, part, most=source.bytes, exact=True, progress=progress, pause=pause)
    except TransferError as error:
        raise CorpusError(str(error)) from error
    check(source, part, remove=True)
    part.replace(target)


def check(source: Source, path: Path, *, remove: bool = False) -> None:
    """Refuse a file that is not what its source says.

    Args:
        source: The hash that it should have.
        path: The file.
        remove: Also delete it then, so that the next run starts anew.

    Raises:
        CorpusError: It has another hash.
    """
    found = sha256_file(path)
    if found == source.sha256:
        return
    if remove:
        path.unlink()
    done = "it was removed, run it again to download it anew" if remove else "download it anew"
    raise CorpusError(
        f"{path}: its SHA-256 is {found}, and {source.name} should have {source.sha256}; {done}"
    )


def _require_space(source: Source, part: Path) -> None:
    missing = source.bytes - (part.stat().st_size if part.exists() else 0)
    free = shutil.disk_usage(part.parent).free
    if missing > free:
        raise CorpusError(
            f"{part.parent}: {source.name} needs another {missing / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB are free; free some space or choose another folder"
        )

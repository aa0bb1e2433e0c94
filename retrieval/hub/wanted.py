"""Which files a bundle's manifest asks for, and that none of them leaves the folder."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from retrieval.hub.errors import FetchError
from retrieval.hub.store import ORIGIN
from retrieval.spec.bundle import GOLDEN, MANIFEST, Bundle, TowerFile

MOST_BESIDE = 64_000_000
"""Bytes of a file whose size no manifest states: a vocabulary, golden values, a report."""

_UNCHECKED = ("report.json", "README.md", "LICENSE", "NOTICE")
_PACKAGE_FILES = (
    "Manifest.json",
    "Data/com.apple.CoreML/model.mlmodel",
    "Data/com.apple.CoreML/weights/weight.bin",
)
_SEGMENT = re.compile(r"[^\x00-\x1f<>:\"|?*\\/]*[^\x00-\x1f<>:\"|?*\\/. ]")


@dataclass(frozen=True, slots=True)
class WantedFile:
    """One transfer, or the several of a folder that is checked as a whole.

    Attributes:
        path: In the bundle.
        sha256: What it must have; None where no manifest says.
        most: Bytes that it may have.
        exact: Whether it must have just so many.
        members: Files below ``path``, if it is a folder; the last may be absent.
        optional: Whether a model is whole without it.
    """

    path: str
    sha256: str | None
    most: int
    exact: bool = False
    members: tuple[str, ...] = ()
    optional: bool = False


def wanted_files(bundle: Bundle, address: str) -> list[WantedFile]:
    """All files to fetch, what the manifest vouches for first.

    Args:
        bundle: The manifest.
        address: Where it came from, for messages.

    Raises:
        FetchError: A path leads out of the folder, or two claim the same place.
    """
    vocabulary = WantedFile(bundle.text.vocabulary_file, bundle.text.vocabulary_sha256, MOST_BESIDE)
    golden = WantedFile(
        GOLDEN, bundle.golden_sha256, MOST_BESIDE, optional=bundle.golden_sha256 is None
    )
    files = [*map(_tower_file, bundle.files), vocabulary, golden]
    files += [WantedFile(name, None, MOST_BESIDE, optional=True) for name in _UNCHECKED]
    _check_paths([file.path for file in files], address)
    return files


def _tower_file(file: TowerFile) -> WantedFile:
    if file.format != "coreml":
        return WantedFile(file.file, file.sha256, file.bytes, exact=True)
    # Core ML packages are folders, and no server lists a folder; these are always its files.
    return WantedFile(file.file, file.sha256, file.bytes, members=_PACKAGE_FILES)


def _check_paths(paths: Sequence[str], address: str) -> None:
    taken: list[PurePosixPath] = [PurePosixPath(name) for name in (MANIFEST, ORIGIN)]
    for path in paths:
        if not all(map(_SEGMENT.fullmatch, path.split("/"))):
            raise FetchError(
                f"{address} names {path!r}, which is no plain path inside the bundle; "
                "do not trust this model"
            )
        place = PurePosixPath(path.lower())
        for other in taken:
            if place.is_relative_to(other) or other.is_relative_to(place):
                raise FetchError(f"{address} names {path!r} where {str(other)!r} is already")
        taken.append(place)

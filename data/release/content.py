"""What an sdist and a wheel must hold, and what they must not."""

import hashlib
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

DEFAULT = "retrieval/default"
"""Where the wheel carries the default bundle."""

_IN_WHEEL = (
    "retrieval/__init__.py",
    "retrieval/py.typed",
    "export/__init__.py",
    "export/py.typed",
    f"{DEFAULT}/README.md",
    f"{DEFAULT}/bundle.json",
    "retrieval/web/static/index.html",
)
_LICENCES = ("LICENSE", "retrieval/language/NOTICE")
_IN_SDIST = ("pyproject.toml", "README.md", "data/default/bundle.json", *_LICENCES)
_JUNK = ("__pycache__", ".pyc", ".DS_Store", ".orig", ".part", "~")


def read_wheel(path: Path) -> dict[str, bytes]:
    """Files of a wheel by their names."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}


def read_sdist(path: Path) -> dict[str, bytes]:
    """Files of an sdist by their names, without the folder that holds them all."""
    found = {}
    with tarfile.open(path) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is not None:
                found[member.name.partition("/")[2]] = stream.read()
    return found


def wheel_faults(files: Mapping[str, bytes], bundle: Path) -> list[str]:
    """What is wrong with a wheel, a line each.

    Args:
        files: Its files, from `read_wheel`.
        bundle: The default bundle, which it must hold byte for byte.
    """
    carried = {
        f"{DEFAULT}/{path.relative_to(bundle).as_posix()}": path.read_bytes()
        for path in sorted(bundle.rglob("*"))
        if path.is_file()
    }
    licences = [name for name in files if ".dist-info/licenses/" in name]
    return [
        *_missing(files, _IN_WHEEL),
        *_missing([name.partition("/licenses/")[2] for name in licences], _LICENCES),
        *(
            f"{name} is not that of {bundle}"
            for name in carried
            if files.get(name) != carried[name]
        ),
        *(
            f"{name} does not belong into a wheel"
            for name in files
            if PurePosixPath(name).parts[0] not in ("retrieval", "export")
            and not PurePosixPath(name).parts[0].endswith(".dist-info")
        ),
        *_junk(files),
    ]


def sdist_faults(files: Mapping[str, bytes]) -> list[str]:
    """What is wrong with an sdist: it holds what the wheel is made of, and nothing else."""
    return [
        *_missing(files, _IN_SDIST),
        *(
            f"{name} does not belong into an sdist"
            for name in files
            if name.startswith(("apps/", "tests/"))
            or (name.startswith("data/") and not name.startswith("data/default/"))
        ),
        *_junk(files),
    ]


def differences(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> list[str]:
    """Files in which two wheels differ."""
    return [
        f"{name}: {_hash(one.get(name))} and {_hash(other.get(name))}"
        for name in sorted({*one, *other})
        if one.get(name) != other.get(name)
    ]


def _missing(names: Iterable[str], wanted: Iterable[str]) -> list[str]:
    there = set(names)
    return [f"{name} is missing" for name in wanted if name not in there]


def _junk(names: Iterable[str]) -> list[str]:
    return [
        f"{name} is no file to give away"
        for name in names
        if any(part.endswith(_JUNK) for part in PurePosixPath(name).parts)
    ]


def _hash(content: bytes | None) -> str:
    return "missing" if content is None else hashlib.sha256(content).hexdigest()[:12]

"""A wheel in an empty environment: does it install, and does it find photos?"""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PHOTOS = REPOSITORY / "data" / "photos"

QUESTIONS = {"a cat": "tabby_cat.bmp"}
"""Sentences, and the sample photo that must be among the first answers."""
TOP = 5

_WHERE = "import retrieval; print(retrieval.__file__)"
_SECONDS = 900


class SmokeError(Exception):
    """Something does not work; one line."""


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter of a supported version."""

    version: str
    """As ``3.12``."""
    path: Path


def find_python(version: str) -> Python | None:
    """An interpreter on the path or of pyenv that runs and has the version; None: none here."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    named = shutil.which(f"python{version}")
    candidates = [Path(named)] if named else []
    candidates += sorted(pyenv.glob(f"{version}.*/bin/python"))
    ask = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    for path in candidates:
        done = subprocess.run([path, "-c", ask], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip() == version:
            return Python(version, path)
    return None


def smoke(python: Python, wheel: Path, folder: Path, constraints: Path | None = None) -> str:
    """Install a wheel into a new environment and search the sample photos.

    Args:
        python: What makes the environment.
        wheel: The wheel.
        folder: Empty; environment and library are made in it.
        constraints: Versions for pip.

    Returns:
        What was seen, a line.

    Raises:
        SmokeError: A step failed, or a photo was not found.
    """
    own = folder / "venv"
    _run([python.path, "-m", "venv", own], folder)
    inside = own / ("Scripts" if os.name == "nt" else "bin")
    pip = [inside / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    _run([*pip, *(["-c", constraints] if constraints else []), wheel], folder)
    where = _run([inside / "python", "-I", "-c", _WHERE], folder).strip()
    if not Path(where).resolve().is_relative_to(own.resolve()):
        raise SmokeError(f"retrieval was imported from {where}, not from the wheel")
    leanclip = inside / "leanclip"
    version = _run([leanclip, "--version"], folder).strip()
    photos = folder / "photos"
    shutil.copytree(PHOTOS, photos)
    for question, wanted in QUESTIONS.items():
        said = _run([leanclip, "search", question, photos, "--top", str(TOP), "--json"], folder)
        found = [Path(hit["path"]).name for hit in json.loads(said)["results"]]
        if wanted not in found:
            raise SmokeError(f"{question!r} found {', '.join(found)}, and not {wanted}")
    model = json.loads(_run([leanclip, "status", "--json"], folder))["models"][0]["name"]
    return f"{version}, {model}: {len(QUESTIONS)} of {len(QUESTIONS)} searches"


def _run(command: Sequence[str | Path], folder: Path) -> str:
    # Nothing of the caller's environment may lend a package, a model or a library.
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "LEANCLIP", "VIRTUAL_ENV"))
    }
    done = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        cwd=folder,
        env=kept | {"LEANCLIP_HOME": str(folder / "home")},
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise SmokeError(f"{Path(command[0]).name} {command[1]} ...: {last}")
    return done.stdout

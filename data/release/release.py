"""Build sdist and wheel, check what is in them, and try the wheel on every supported Python.

    python data/release/release.py
    python data/release/release.py --python 3.12 --out dist

The wheel is built from the sdist, and must be the one that the working tree gives. A supported
Python that is not on this machine is named, and does not count as passed: the exit status is 1.
"""

import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Annotated

import typer
from content import differences, read_sdist, read_wheel, sdist_faults, wheel_faults
from smoke import REPOSITORY, SmokeError, find_python, smoke

_CLASSIFIER = "Programming Language :: Python :: 3."


def main(
    python: Annotated[
        list[str] | None, typer.Option(metavar="3.X", help="Try these.  [default: all supported]")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of sdist and wheel.")] = REPOSITORY / "dist",
    isolation: Annotated[
        bool, typer.Option(help="Build in an environment of its own, which pip fills.")
    ] = True,
) -> None:
    """Build, check, try; the exit status is 0 only when all of it passed."""
    sdist, wheel = build(out, isolation=isolation)
    faults = check(sdist, wheel, isolation=isolation)
    for fault in faults:
        typer.echo(f"wrong: {fault}")
    typer.echo(f"{sdist.name} {sdist.stat().st_size / 1e6:.1f} MB")
    typer.echo(f"{wheel.name} {wheel.stat().st_size / 1e6:.1f} MB")
    passed = [try_python(version, wheel) for version in python or supported()]
    if faults or not all(passed):
        raise typer.Exit(1)


def supported() -> list[str]:
    """Versions of Python that ``pyproject.toml`` promises, such as 3.11."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    names = [name for name in project["classifiers"] if name.startswith(_CLASSIFIER)]
    return [name.rpartition(" ")[2] for name in names]


def build(out: Path, *, isolation: bool) -> tuple[Path, Path]:
    """The sdist, and the wheel that is built from it; what was in ``out`` of them goes."""
    for earlier in [*out.glob("leanclip-*.whl"), *out.glob("leanclip-*.tar.gz")]:
        earlier.unlink()
    _build(REPOSITORY, out, isolation=isolation)
    [sdist], [wheel] = out.glob("leanclip-*.tar.gz"), out.glob("leanclip-*.whl")
    return sdist, wheel


def check(sdist: Path, wheel: Path, *, isolation: bool) -> list[str]:
    """What is wrong with them, a line each."""
    files = read_wheel(wheel)
    with tempfile.TemporaryDirectory(prefix="leanclip-release-") as folder:
        _build(REPOSITORY, Path(folder), "--wheel", isolation=isolation)
        [direct] = Path(folder).glob("*.whl")
        unlike = differences(files, read_wheel(direct))
    return [
        *sdist_faults(read_sdist(sdist)),
        *wheel_faults(files, REPOSITORY / "data" / "default"),
        *(f"the sdist gives another wheel than the tree: {line}" for line in unlike),
    ]


def try_python(version: str, wheel: Path) -> bool:
    """Whether the wheel works there; says what was seen."""
    python = find_python(version)
    if python is None:
        typer.echo(f"Python {version}: not found here, so not tried; this is no pass")
        return False
    folder = Path(tempfile.mkdtemp(prefix=f"leanclip-{version}-"))
    try:
        seen = smoke(python, wheel, folder, REPOSITORY / "constraints.txt")
    except (SmokeError, subprocess.TimeoutExpired) as error:
        typer.echo(f"Python {version}: failed: {error}")
        return False
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    typer.echo(f"Python {version}: passed: {seen}")
    return True


def _build(source: Path, out: Path, *more: str, isolation: bool) -> None:
    command = [sys.executable, "-m", "build", "--outdir", str(out), *more, str(source)]
    done = subprocess.run(
        [*command, *([] if isolation else ["--no-isolation"])],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        typer.echo(done.stdout + done.stderr, err=True)
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)

"""Size of the base install: what ``pip install .`` puts on a machine, package by package.

A fresh virtual environment gets this repository without extras. Then it must not have
PyTorch, must answer ``leanclip --version``, and must search two pictures that it drew itself.
Bytes are those of the installed files with their compiled ``.pyc``; what the environment
itself came with (pip, setuptools) is in the CSV but not counted.

    python data/benchmarks/install_size.py
    python data/benchmarks/install_size.py --model BUNDLE
"""

import json
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Annotated, Any

import typer
from figures import HERE, REPOSITORY, stamp, write_figures

LIMIT_MEGABYTES = 500
FORBIDDEN = ("torch", "torchvision", "timm", "open_clip", "pyarrow", "matplotlib", "onnx")
BROUGHT_BY_VENV = ("pip", "setuptools")
SHOWN = 12

# Runs in the fresh environment; RECORD, which pip writes, names every installed file.
_LIST_PACKAGES = """
import importlib.metadata, importlib.util, json, os
sizes = {}
for package in importlib.metadata.distributions():
    paths = [package.locate_file(name) for name in package.files or ()]
    sizes[package.metadata["Name"]] = {
        "version": package.version,
        "bytes": sum(os.path.getsize(path) for path in paths if os.path.isfile(path)),
    }
found = [name for name in %r if importlib.util.find_spec(name) is not None]
print(json.dumps({"packages": sizes, "forbidden": found}))
"""


def main(
    model: Annotated[str, typer.Option(help="Bundle to search with.")] = "default",
    out: Annotated[Path, typer.Option(help="Result, without ending.")] = HERE / "install_size",
) -> None:
    """Install, check, measure, print the largest packages."""
    stamped = stamp(threads="any", statistic="one fresh install", packages=("leanclip", "pip"))
    with tempfile.TemporaryDirectory(prefix="leanclip-benchmark-") as temporary:
        folder = Path(temporary)
        python = install(folder / "venv")
        listed = json.loads(_run([str(python), "-c", _LIST_PACKAGES % (FORBIDDEN,)]))
        if listed["forbidden"]:
            _fail(f"the base install has {', '.join(listed['forbidden'])}; it must not")
        version = _run([str(python.with_name("leanclip")), "--version"]).strip()
        search(python.with_name("leanclip"), folder, model)
    raw = largest_first(listed["packages"])
    total = sum(row["bytes"] for row in raw if row["package"] not in BROUGHT_BY_VENV) / 1e6
    results = {
        "megabytes": total,
        "limit_megabytes": LIMIT_MEGABYTES,
        "torch_installed": False,
        "version": version,
        "search_works": True,
    }
    write_figures(out, stamped=stamped, results=results, raw=raw)
    typer.echo(table(raw, total))
    if total >= LIMIT_MEGABYTES:
        _fail(f"{total:.0f} MB are too many; the limit is {LIMIT_MEGABYTES}")


def install(folder: Path) -> Path:
    """Install the repository without extras into a new environment; returns its Python."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    typer.echo("pip install .", err=True)
    started = time.perf_counter()
    constraints = str(REPOSITORY / "constraints.txt")
    _run(
        [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        + ["-c", constraints, str(REPOSITORY)]
    )
    typer.echo(f"installed in {time.perf_counter() - started:.0f} s", err=True)
    return python


def search(leanclip: Path, folder: Path, model: str) -> None:
    """Draw two pictures and find both."""
    pictures = folder / "pictures"
    _run([str(leanclip), "scenes", str(pictures), "--count", "2"])
    answer = _run(
        [str(leanclip), "search", "a red star", str(pictures), "--model", model]
        + ["--home", str(folder / "home"), "--json"]
    )
    if len(json.loads(answer)["results"]) != 2:
        _fail(f"the search should have found two pictures: {answer}")


def largest_first(packages: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per package."""
    rows = [{"package": name, **entry} for name, entry in packages.items()]
    return sorted(rows, key=lambda row: -row["bytes"])


def table(raw: list[dict[str, Any]], total: float) -> str:
    """Markdown, for the README."""
    counted = [row for row in raw if row["package"] not in BROUGHT_BY_VENV]
    lines = ["| package | version | MB |", "| --- | --- | ---: |"]
    lines += [
        f"| {row['package']} | {row['version']} | {row['bytes'] / 1e6:.1f} |"
        for row in counted[:SHOWN]
    ]
    rest = sum(row["bytes"] for row in counted[SHOWN:]) / 1e6
    lines.append(f"| {len(counted[SHOWN:])} more | | {rest:.1f} |")
    lines.append(f"| **total, without PyTorch** | | **{total:.1f}** |")
    return "\n".join(lines)


def _run(command: list[str]) -> str:
    # From a folder of no meaning, so that the repository itself is not what gets imported.
    done = subprocess.run(command, capture_output=True, text=True, cwd=tempfile.gettempdir())
    if done.returncode:
        _fail(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _fail(message: str) -> None:
    typer.echo(message, err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)

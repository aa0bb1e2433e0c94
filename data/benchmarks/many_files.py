"""A folder of 100,000 photos: how long it takes to look through, and how much memory.

All files lie in one folder, which is the worst for what holds a folder's names at once. They
are tiny PNG files of different content; and since so many tiny files have few sizes among them,
nearly all are hashed before they are decoded, as photos are that may be copies. The model
takes no time: what is measured is everything around it. Each of these is a process of its own:

- ``names and sizes``: the scan alone, as every run begins;
- ``first run``: from an empty catalog until every photo is committed;
- ``nothing new``: the same again;
- ``a few changes``: after ten photos were added, ten changed and ten deleted.

Memory is the peak resident set of the process that holds the catalog; decoding processes hold
one photo each. The files lie in the system's cache.

    python data/benchmarks/many_files.py
    python data/benchmarks/many_files.py --files 2000 --runs 1
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

import typer
from figures import HERE, stamp, summary, write_figures
from kill_indexing import MeanColour
from PIL import Image

from retrieval.search.library import Library
from retrieval.search.rules import ScanRules
from retrieval.search.scan import scan_folder

SCAN, FIRST, AGAIN, CHANGED = "names and sizes", "first run", "nothing new", "a few changes"
FEW = 10
PACKAGES = ("leanclip", "numpy", "pillow", "faiss-cpu")
_CHILD = "--child"
_COLOURS = 512
_MOST_PADDING = 2_000
# macOS counts the resident set in bytes, Linux in kilobytes.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def main(
    files: Annotated[int, typer.Option(min=4 * FEW, help="Photos in the folder.")] = 100_000,
    runs: Annotated[int, typer.Option(min=1, help="Turns; each begins with no catalog.")] = 3,
    out: Annotated[Path, typer.Option(help="Result, without ending.")] = HERE / "many_files",
) -> None:
    """Make the photos, take turns, report medians."""
    if os.name != "posix":
        raise typer.BadParameter("peak memory is measured with getrusage: Linux or macOS only")
    stamped = stamp(
        threads="as leanclip index chooses",
        statistic=f"median of {runs} turns, each step in a process of its own",
        packages=PACKAGES,
    )
    raw: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="leanclip-many-") as folder:
        photos = Path(folder) / "photos"
        typer.echo(f"writing {files:,} files", err=True)
        make_files(photos, files)
        for turn in range(runs):
            for row in steps(Path(folder) / "home", photos):
                typer.echo(f"turn {turn + 1}: {row}", err=True)
                raw.append({"turn": turn, **row})
    results = {"files": files, **summarise(raw)}
    write_figures(out, stamped=stamped, results=results, raw=raw)
    typer.echo(table(results))


def make_files(folder: Path, count: int) -> None:
    """Write tiny PNG files in one folder, each with content of its own."""
    folder.mkdir(parents=True)
    colours = []
    for number in range(_COLOURS):
        content = BytesIO()
        Image.new("RGB", (8, 8), (number % 256, number // 2, 99)).save(content, "PNG")
        colours.append(content.getvalue())
    for number in range(count):
        # Decoders stop at the end that PNG itself marks.
        tail = f"{number:08}".encode() + bytes(number % _MOST_PADDING)
        (folder / f"{number:06}.png").write_bytes(colours[number % _COLOURS] + tail)


def steps(home: Path, photos: Path) -> Iterator[dict[str, Any]]:
    """Measure each step; ``photos`` are as they were afterwards, but for ten of them."""
    count = sum(1 for _ in photos.iterdir())
    shutil.rmtree(home, ignore_errors=True)
    yield _step(SCAN, home, photos, {"files": count})
    yield _step(FIRST, home, photos, {"added": count, "unchanged": 0})
    yield _step(AGAIN, home, photos, {"added": 0, "unchanged": count})
    _change(photos)
    after = {"added": FEW, "changed": FEW, "removed": FEW, "unchanged": count - 2 * FEW}
    yield _step(CHANGED, home, photos, after)


def summarise(raw: list[dict[str, Any]]) -> dict[str, Any]:
    """Seconds and megabytes of each step."""
    return {
        step: {
            key: summary([row[key] for row in raw if row["step"] == step])
            for key in ("seconds", "megabytes")
        }
        for step in (SCAN, FIRST, AGAIN, CHANGED)
    }


def table(results: dict[str, Any]) -> str:
    """Markdown."""
    lines = [
        f"| {results['files']:,} files in one folder | seconds | files a second | peak MB |",
        "| --- | ---: | ---: | ---: |",
    ]
    for step in (SCAN, FIRST, AGAIN, CHANGED):
        seconds, memory = (results[step][key]["median"] for key in ("seconds", "megabytes"))
        rate = results["files"] / seconds
        lines.append(f"| {step} | {seconds:.2f} | {rate:,.0f} | {memory:.0f} |")
    return "\n".join(lines)


def _step(step: str, home: Path, photos: Path, expected: dict[str, int]) -> dict[str, Any]:
    command = [sys.executable, __file__, _CHILD, step, str(home), str(photos)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout)
    counted = {key: found.pop(key) for key in expected}
    if counted != expected:
        raise RuntimeError(f"{step}: expected {expected}, found {counted}")
    return {"step": step, "seconds": found["seconds"], "megabytes": found["megabytes"]}


def _change(photos: Path) -> None:
    """Add, change and delete a few; their number stays."""
    names = sorted(photos.iterdir())
    for path in names[:FEW]:
        path.unlink()
    for number, path in enumerate(names[FEW : 2 * FEW]):
        content = path.read_bytes()
        path.write_bytes(content + b"changed")
        added = photos / f"new-{time.time_ns()}-{number}.png"
        added.write_bytes(content + b"added")


def _child(step: str, home: Path, photos: Path) -> None:
    import resource

    work: Callable[[], dict[str, int]] = (
        (lambda: {"files": len(scan_folder(photos, ScanRules()).files)})
        if step == SCAN
        else (lambda: _indexed(home, photos))
    )
    started = time.perf_counter()
    counted = work()
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT / 1e6
    typer.echo(json.dumps({**counted, "seconds": seconds, "megabytes": peak}))


def _indexed(home: Path, photos: Path) -> dict[str, int]:
    with Library.open(home, MeanColour()) as library:
        report = library.ensure_index(photos)
    if report.skipped:
        raise RuntimeError(f"{len(report.skipped)} files were skipped: {report.skipped[0]}")
    return {key: getattr(report, key) for key in ("added", "changed", "removed", "unchanged")}


if __name__ == "__main__":
    if sys.argv[1:2] == [_CHILD]:
        _child(sys.argv[2], *map(Path, sys.argv[3:]))
    else:
        typer.run(main)

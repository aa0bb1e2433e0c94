"""Cold search: from shell to answer on 100,000 indexed photos, time and peak memory.

Three commands take turns, each in a fresh process:

- ``leanclip search SENTENCE``: everything that is indexed;
- ``leanclip search SENTENCE DIR``: the same after looking through DIR, where nothing is new;
- ``plain_search.py``: PyTorch and open_clip's ViT-B-32 with embeddings computed before.

Wall time is from starting the process to its end; memory is the peak resident set that the
kernel counted for it. "Cold" means a new process. The files lie in the system's cache for
all three (one uncounted turn makes sure), since that cannot be emptied without privileges.
The library is drawn, not photographed (``drawn_library.py``). ViT-B-32 is a larger model than
leanclip's default, and that is part of the difference; give a bundle of ViT-B-32 to ``--model``
to see what remains with the same model.

    python data/benchmarks/cold_search.py
    python data/benchmarks/cold_search.py --model BUNDLE --runs 15
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from figures import HERE, stamp, summary, write_figures

SENTENCE = "two big red stars above a blue fish"
TOP = 10
PLAIN = "plain script"
PACKAGES = ("leanclip", "onnxruntime", "faiss-cpu", "numpy", "torch", "open_clip_torch")
_PLAIN_DIM = 512
# macOS counts the resident set in bytes, Linux in kilobytes.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Turn(NamedTuple):
    """One process, from start to end."""

    seconds: float
    megabytes: float
    """Peak resident set."""


def main(
    model: Annotated[str, typer.Option(help="Bundle to search with.")] = "default",
    runs: Annotated[int, typer.Option(min=1, help="Counted turns of each command.")] = 9,
    photos: Annotated[int, typer.Option(min=TOP, help="Photos of the library.")] = 100_000,
    work: Annotated[
        Path | None, typer.Option(help="Folder for photos and index; else a temporary one.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Result, without ending.")] = HERE / "cold_search",
) -> None:
    """Prepare photos, index and weights, let the commands take turns, report medians."""
    if os.name != "posix":
        raise typer.BadParameter("peak memory is measured with wait4, which needs Linux or macOS")
    stamped = stamp(
        threads="as each program chooses",
        statistic=f"median of {runs} fresh processes, in turns after one uncounted turn",
        packages=PACKAGES,
    )
    with tempfile.TemporaryDirectory(prefix="leanclip-benchmark-") as temporary:
        folder = Path(temporary) if work is None else work.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        commands = prepare(folder, model, photos)
        raw = take_turns(commands, runs)
    results = compare(raw)
    # An exec'd child starts with its parent's peak, so nothing below this can be seen.
    results["smallest_visible_megabytes"] = _own_peak()
    results["photos"] = photos
    write_figures(out, stamped=stamped, results=results, raw=raw)
    typer.echo(table(results))


def prepare(folder: Path, model: str, photos: int) -> dict[str, list[str]]:
    """Make a library, and what the plain script reads."""
    pictures, home, weights = folder / "photos", folder / "home", folder / "vit-b-32.pt"
    embeddings, paths = folder / "embeddings.npy", folder / "paths.txt"
    typer.echo(f"making a library of {photos:,} photos", err=True)
    # In a process of its own: the measured ones start with the peak of this one.
    making = multiprocessing.get_context("spawn").Process(
        target=_make_inputs, args=(folder, model, photos, embeddings, paths)
    )
    making.start()
    making.join()
    if making.exitcode:
        _fail("the library could not be made; see above")
    typer.echo("writing random ViT-B-32 weights", err=True)
    plain = [sys.executable, str(HERE / "plain_search.py"), str(weights)]
    if not weights.exists():
        _run(plain)
    search = [str(Path(sys.executable).with_name("leanclip")), "search", SENTENCE]
    return {
        "leanclip search": [*search, "--home", str(home)],
        "leanclip search DIR": [*search, str(pictures), "--home", str(home)],
        PLAIN: [*plain, str(embeddings), str(paths), SENTENCE],
    }


def take_turns(commands: dict[str, list[str]], runs: int) -> list[dict[str, Any]]:
    """Run the commands in turns; the first turn of each is not counted."""
    raw = []
    with typer.progressbar(range(runs + 1), label="taking turns", file=sys.stderr) as turns:
        for turn in turns:
            for name, command in commands.items():
                measured = run_measured(command)
                if turn:
                    raw.append({"command": name, "turn": turn, **measured._asdict()})
    return raw


def run_measured(command: list[str]) -> Turn:
    """Run a search and check that it answered; wall seconds and peak memory."""
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as complaint:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=answer, stderr=complaint)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        answer.seek(0)
        complaint.seek(0)
        if process.returncode or len(answer.read().splitlines()) != TOP:
            said = complaint.read().decode(errors="replace").strip()
            _fail(f"{' '.join(command)} gave no {TOP} results: {said}")
    return Turn(seconds, usage.ru_maxrss * _RSS_UNIT / 1e6)


def compare(raw: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of each command, and how many times the plain script needs."""
    names = dict.fromkeys(row["command"] for row in raw)
    results: dict[str, Any] = {
        name: {
            key: summary([row[key] for row in raw if row["command"] == name])
            for key in ("seconds", "megabytes")
        }
        for name in names
    }
    plain = results[PLAIN]
    for name in names:
        for key in ("seconds", "megabytes"):
            ratio = plain[key]["median"] / results[name][key]["median"]
            results[name][f"plain_script_needs_times_{key}"] = ratio
    return results


def table(results: dict[str, Any]) -> str:
    """Markdown, for the README."""
    lines = [
        "| command | seconds | peak MB | plain script: times the seconds | times the memory |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, row in results.items():
        if isinstance(row, dict):
            seconds, memory = row["seconds"]["median"], row["megabytes"]["median"]
            lines.append(
                f"| {name} | {seconds:.2f} | {memory:.0f} "
                f"| {row['plain_script_needs_times_seconds']:.1f} "
                f"| {row['plain_script_needs_times_megabytes']:.1f} |"
            )
    return "\n".join(lines)


def _make_inputs(folder: Path, model: str, photos: int, embeddings: Path, paths: Path) -> None:
    import numpy as np
    from drawn_library import make_library
    from vector_search import draw

    from retrieval.encode.load import open_encoder

    known, _ = make_library(folder, photos, open_encoder(model), model)
    np.save(embeddings, draw(photos, _PLAIN_DIM, seed=2))
    paths.write_text("".join(f"{photo.path}\n" for photo in known), "utf-8")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        _fail(f"{' '.join(command)}: {done.stderr.strip()}")


def _own_peak() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT / 1e6


def _fail(message: str) -> None:
    typer.echo(message, err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)

"""Seconds until ``leanclip COMMAND --help`` has answered, for every command.

Each command runs in processes of its own, after one that fills the system's caches. Wall-clock
seconds are what a person waits; processor seconds do not depend on what else the machine does.
Which of the heavy libraries help imports is listed beside them: tests/cli/test_startup.py asks
for none.

    python data/benchmarks/startup.py
    python data/benchmarks/startup.py --runs 3 --out runs/startup
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from figures import HERE, stamp, summary, write_figures

from retrieval.cli.app import COMMANDS

GOAL_SECONDS = 0.2
"""For ``leanclip --help``."""
HEAVY = ("torch", "onnxruntime", "faiss", "timm", "open_clip", "pyarrow", "fastapi", "numpy")
WHOLE = "leanclip"
"""What the table calls ``leanclip --help``."""

_HELP = f"""
import contextlib, json, os, sys
sys.argv = ["leanclip", *sys.argv[1:]]
from retrieval.cli.app import main
with contextlib.suppress(SystemExit), open(os.devnull, "w") as nowhere:
    with contextlib.redirect_stdout(nowhere):
        main()
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""


def main(
    runs: Annotated[int, typer.Option(min=1, help="Processes for each command.")] = 7,
    out: Annotated[Path, typer.Option(help="Result, without ending.")] = HERE / "startup",
) -> None:
    """Time every command's help and write the figures."""
    stamped = stamp(
        threads="any", statistic=f"median of {runs} processes", packages=("leanclip", "typer")
    )
    raw = []
    for name in (WHOLE, *COMMANDS):
        _time(name)
        raw += [{"command": name, "run": run, **_time(name)} for run in range(runs)]
        typer.echo(f"{name} done", err=True)
    results = [_result(name, raw) for name in (WHOLE, *COMMANDS)]
    write_figures(out, stamped=stamped, results=results, raw=raw)
    typer.echo(table(results))


def table(results: list[dict[str, Any]]) -> str:
    """Markdown, slowest first."""
    lines = ["| --help of | seconds | of the processor | imports |", "| --- | ---: | ---: | --- |"]
    lines += [
        f"| {row['command']} | {row['seconds']['median']:.2f} "
        f"| {row['processor_seconds']['median']:.2f} | {row['imports']} |"
        for row in sorted(results, key=lambda row: -row["processor_seconds"]["median"])
    ]
    return "\n".join(lines)


def _time(name: str) -> dict[str, Any]:
    command = [] if name == WHOLE else [name]
    before, started = _processor_seconds(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _HELP, *command, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - started
    return {
        "seconds": round(seconds, 4),
        "processor_seconds": round(_processor_seconds() - before, 4),
        "imports": " ".join(json.loads(done.stdout)),
    }


def _processor_seconds() -> float:
    spent = os.times()
    return spent.children_user + spent.children_system


def _result(name: str, raw: list[dict[str, Any]]) -> dict[str, Any]:
    own = [row for row in raw if row["command"] == name]
    return {
        "command": name,
        "seconds": summary([row["seconds"] for row in own]),
        "processor_seconds": summary([row["processor_seconds"] for row in own]),
        "imports": own[0]["imports"],
    } | ({"goal_seconds": GOAL_SECONDS} if name == WHOLE else {})


if __name__ == "__main__":
    typer.run(main)

"""Bytes and milliseconds of finished rows, timed in rounds when nothing else runs."""

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from study.plan import Job
from study.results import MEASURED, read_result
from study.row import BASE
from study.towers import FILES, export_towers, tower_file

from retrieval.encode.sessions import open_session
from retrieval.evaluate.latency import machine_name
from retrieval.spec.errors import LeanclipError
from retrieval.spec.files import write_json
from retrieval.spec.tower import TOWERS, Tower

ROUNDS = 5
CALLS = 20
_WARM_UP = 3
_TOKENS = 12
"""Of the timed sentence, as many as a caption has."""


def export_row(job: Job, out: Path) -> None:
    """Make the files of a finished row's towers.

    Raises:
        LeanclipError: A tower cannot be converted.
    """
    sparse = job.row.group == "unstructured pruning" or job.row.key == BASE
    export_towers(job.folder(out) / "student", out, sparse=sparse)


def measure_all(jobs: Sequence[Job], out: Path) -> dict[str, str]:
    """Write ``measured.json`` of every finished row: bytes, and milliseconds on one thread.

    A figure is the median over rounds of each round's median of ``CALLS`` calls with batch 1.
    A photo is timed from pixels of the model's size, a sentence of twelve tokens from its tokens.

    Returns:
        One line for each row whose towers cannot be exported, by title.
    """
    failed: dict[str, str] = {}
    files: dict[tuple[str, str, int], dict[str, Any]] = {}
    for job in track(jobs, "exporting", console=Console(stderr=True)):
        try:
            export_row(job, out)
            files[job.key] = read_result(job, out, FILES) or {}
        except LeanclipError as error:
            failed[job.title] = f"it cannot be exported: {error}"
    names = {_shipped(one, tower) for one in files.values() for tower in TOWERS}
    milliseconds = _time_towers(names, out)
    for job in jobs:
        if job.key in files:
            write_json(job.folder(out) / MEASURED, _figures(files[job.key], milliseconds, out))
    return failed


def _figures(files: dict[str, Any], milliseconds: dict[str, float], out: Path) -> dict[str, Any]:
    def size(kind: str) -> int:
        return sum(tower_file(out, files[tower][kind]).stat().st_size for tower in TOWERS)

    return {
        "bytes": size("shipped"),
        "bytes_int8": size("int8"),
        "bytes_sparse": files.get("bytes_sparse"),
        "ms_photo": milliseconds[_shipped(files, "image")],
        "ms_sentence": milliseconds[_shipped(files, "text")],
        "machine": machine_name(),
    }


def _shipped(files: dict[str, Any], tower: Tower) -> str:
    name: str = files[tower]["shipped"]
    return name


def _time_towers(names: Iterable[str], out: Path) -> dict[str, float]:
    calls = {name: _call(tower_file(out, name)) for name in sorted(names)}
    rounds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in track(range(ROUNDS), "timing", console=Console(stderr=True)):
        for name, call in calls.items():
            rounds[name].append(_milliseconds(call))
    return {name: round(median(values), 4) for name, values in rounds.items()}


def _call(path: Path) -> Callable[[], object]:
    """One call of a tower with one photo or one sentence, on one thread."""
    session = open_session(path, threads=1)
    given = session.get_inputs()[0]
    rest = given.shape[1:]
    if len(rest) == 1:
        batch = np.zeros((1, *rest), np.int32)
        batch[0, :_TOKENS] = np.arange(1, 1 + _TOKENS)
    else:
        batch = np.random.default_rng(0).integers(0, 256, (1, *rest), np.uint8)
    return lambda: session.run(None, {given.name: batch})


def _milliseconds(call: Callable[[], object]) -> float:
    seconds = []
    for run in range(_WARM_UP + CALLS):
        started = time.perf_counter()
        call()
        if run >= _WARM_UP:
            seconds.append(time.perf_counter() - started)
    return 1000 * median(seconds)

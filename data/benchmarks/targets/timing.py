"""Milliseconds of files, each in a process of its own with one thread, in rounds."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from export.probe.figures import WARM_UPS
from export.probe.inputs import golden_rows, in_file_form
from retrieval.spec.bundle import TowerFile, read_bundle

ROUNDS = 7
CALLS = 15


class _FileError(Exception):
    """A file cannot be timed; the others can."""


@dataclass
class Timed:
    """A file of a bundle, and what was found.

    Attributes:
        folder: The bundle.
        file: Which of its files.
        rounds: Each round's median of so many calls with one photo or sentence.
        reason: Why there is none.
    """

    folder: Path
    file: TowerFile
    rounds: list[float] = field(default_factory=list)
    reason: str | None = None

    @property
    def milliseconds(self) -> float | None:
        """Median over rounds."""
        return median(self.rounds) if self.rounds and self.reason is None else None


def time_in_turns(files: Sequence[Timed], *, rounds: int = ROUNDS, calls: int = CALLS) -> None:
    """Fill in `Timed.rounds`, back and forth, so that none always follows the same one."""
    with ExitStack() as stack:
        workers = [(one, stack.enter_context(_worker(one))) for one in files]
        for one, worker in workers:
            _guarded(one, worker, "run", runs=WARM_UPS)
        for turn in range(rounds):
            for one, worker in workers if turn % 2 == 0 else reversed(workers):
                answer = _guarded(one, worker, "run", runs=calls)
                if answer is not None:
                    one.rounds.append(round(median(answer["milliseconds"]), 4))


def times_faster(one: Timed, baseline: Timed) -> float | None:
    """How many times as long the baseline takes: the median of the rounds' ratios."""
    if one.milliseconds is None or baseline.milliseconds is None:
        return None
    return median(b / a for a, b in zip(one.rounds, baseline.rounds, strict=True))


@contextmanager
def _worker(one: Timed) -> Iterator[subprocess.Popen[str]]:
    """The probe's process of one file, which has loaded it unless ``one.reason`` says why not."""
    with TemporaryDirectory(prefix="leanclip-targets-") as name:
        process = subprocess.Popen(
            [sys.executable, "-m", "export.probe.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        try:
            bundle = read_bundle(one.folder)
            given = golden_rows(one.folder, bundle)[one.file.tower].rows
            rows = Path(name) / "rows.npy"
            np.save(rows, in_file_form(given, bundle.preprocessing, one.file.interface))
            _guarded(
                one,
                process,
                "load",
                format=one.file.format,
                path=str((one.folder / one.file.file).resolve()),
                tower=one.file.tower,
                threads=1,
                rows=str(rows),
            )
            yield process
        finally:
            process.kill()
            process.communicate()


def _guarded(
    one: Timed, process: subprocess.Popen[str], command: str, **values: Any
) -> dict[str, Any] | None:
    if one.reason is not None:
        return None
    try:
        return _ask(process, {"command": command, **values})
    except _FileError as error:
        one.reason = str(error)
        return None


def _ask(process: subprocess.Popen[str], question: dict[str, Any]) -> dict[str, Any]:
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except BrokenPipeError:
        line = ""
    if not line:
        raise _FileError(f"its process ended with status {process.wait()}")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise _FileError(f"it cannot be timed: {answer['error']}")
    return answer

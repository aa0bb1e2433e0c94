"""The process of one tower file: it loads, runs and times it, as its parent asks.

``python -m export.probe.worker`` reads one JSON object a line and answers each with one.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from export.probe.runtimes import Call, import_runtime
from retrieval.evaluate.memory import peak_memory


class Worker:
    """What the parent can ask for; every method is a command of that name."""

    def __init__(self) -> None:
        self._call: Call
        self._open: Callable[[], Call]
        self._rows: list[np.ndarray[Any, np.dtype[np.generic]]] = []

    def load(self, format: str, path: str, tower: str, threads: int, rows: str) -> dict[str, Any]:
        """Load the file and run it once; milliseconds of both."""
        runtime = import_runtime(format)
        given = np.load(rows)
        self._rows = [given[index : index + 1] for index in range(len(given))]
        self._open = lambda: runtime.open(Path(path), tower, threads)
        cold, self._call = _timed(self._open)
        first, _ = _timed(lambda: self._call(self._rows[0]))
        described = {"name": runtime.name, "version": runtime.version}
        return {"runtime": described, "delegate": runtime.delegate, "cold": cold, "first": first}

    def golden(self, vectors: str) -> dict[str, Any]:
        """Run every row once; the embeddings go into a file."""
        np.save(vectors, np.concatenate([self._call(row) for row in self._rows]))
        return {}

    def run(self, runs: int) -> dict[str, Any]:
        """Milliseconds of so many calls."""
        call, rows = self._call, self._rows
        milliseconds = []
        for index in range(runs):
            row = rows[index % len(rows)]
            started = time.perf_counter()
            call(row)
            milliseconds.append(1e3 * (time.perf_counter() - started))
        return {"milliseconds": milliseconds}

    def sustain(self, seconds: float) -> dict[str, Any]:
        """Call without a pause; when each call began, and its milliseconds."""
        call, row = self._call, self._rows[0]
        calls = []
        began = time.perf_counter()
        while (start := time.perf_counter()) - began < seconds:
            call(row)
            calls.append((start - began, 1e3 * (time.perf_counter() - start)))
        return {"calls": calls}

    def finish(self) -> dict[str, Any]:
        """Peak memory so far, and milliseconds of a second load."""
        peak = peak_memory()
        warm, _ = _timed(self._open)
        return {"peak": peak, "warm": warm}


def serve(questions: TextIO, answers: TextIO) -> None:
    """Answer until the parent closes its end."""
    worker = Worker()
    for line in questions:
        question = json.loads(line)
        try:
            answer = getattr(worker, question.pop("command"))(**question)
        except Exception as error:  # runtimes raise whatever they like; the parent decides
            answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work()
    return 1e3 * (time.perf_counter() - started), result


if __name__ == "__main__":
    # Runtimes print on standard output as they please; answers go past them.
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(sys.stdin, channel)

"""Every file in a process of its own on this machine, timed in turns."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from export.probe.figures import WARM_UPS, SustainedRun, Timing
from export.probe.inputs import GoldenRows
from export.probe.machine import leanclip_version, now, this_device, this_system
from export.probe.plan import Plan
from export.probe.result import FileResult, GoldenCheck, ProbeResult, Runtime
from export.probe.subjects import Subject, subjects

ROUNDS = 10
RUNS_A_ROUND = 10

Tell = Callable[[str], None]
"""Called with what is being done, for people who wait."""


class _FileError(Exception):
    """A file cannot be run here; the others can."""


@dataclass
class _Running:
    """A subject, its process and what was found so far."""

    subject: Subject
    process: subprocess.Popen[str]
    folder: Path
    loaded: dict[str, Any] = field(default_factory=dict)
    golden: GoldenCheck | None = None
    milliseconds: list[float] = field(default_factory=list)
    sustained: SustainedRun | None = None
    finished: dict[str, Any] = field(default_factory=dict)
    reason: str | None = None

    def ask(self, command: str, **values: Any) -> dict[str, Any]:
        """Let the process do one thing.

        Raises:
            _FileError: It failed, or ended.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"command": command, **values}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            status = self.process.wait()
            raise _FileError(f"its process ended with status {status}{self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise _FileError(answer["error"])
        return answer

    def _last_words(self) -> str:
        lines = (self.folder / "errors").read_text("utf-8", "replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return f": {said[-1]}" if said else ""


def probe_host(
    plan: Plan, *, checkpoint: Path | None = None, tell: Tell = lambda _: None
) -> ProbeResult:
    """Probe files on this machine.

    Cold load, first inference and memory are those of a process that runs one file alone.
    Timed runs go in rounds over all files, so that whatever else the machine does hits all
    alike. A file that fails is a row without a latency; the others go on.

    Args:
        plan: What to run.
        checkpoint: The same model in PyTorch, to time beside the files.
        tell: Told what is being done.

    Raises:
        CheckpointError: The checkpoint cannot be read.
        ProbeError: The checkpoint is another model than the bundle.
    """
    with ExitStack() as stack:
        running = []
        for subject in subjects(plan, checkpoint):
            tell(f"loading {subject.label}")
            one = stack.enter_context(_started(subject, plan.threads))
            _guarded(_load, one, plan)
            running.append(one)
        _time_in_turns([one for one in running if one.reason is None], plan, tell)
        for one in [one for one in running if one.reason is None]:
            if plan.sustained_seconds is not None:
                tell(f"{one.subject.label} without a pause, {plan.sustained_seconds:.0f} seconds")
            _guarded(_finish, one, plan)
        files = tuple(_result(one, plan.threads) for one in running)
    return ProbeResult(
        leanclip=leanclip_version(),
        timestamp=now(),
        device=this_device(),
        system=this_system(),
        bundle=plan.probed,
        files=files,
    )


@contextmanager
def _started(subject: Subject, threads: int) -> Iterator[_Running]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with tempfile.TemporaryDirectory(prefix="leanclip-probe-") as name:
        folder = Path(name)
        with (folder / "errors").open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "export.probe.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
            )
        try:
            yield _Running(subject, process, folder)
        finally:
            process.kill()
            process.communicate()


def _guarded(work: Callable[[_Running, Plan], None], one: _Running, plan: Plan) -> None:
    try:
        work(one, plan)
    except _FileError as error:
        one.reason = f"{one.subject.path} cannot be run: {error}"


def _load(one: _Running, plan: Plan) -> None:
    subject = one.subject
    rows, vectors = one.folder / "rows.npy", one.folder / "vectors.npy"
    np.save(rows, subject.rows)
    one.loaded = one.ask(
        "load",
        format=subject.format,
        path=str(subject.path),
        tower=subject.tower,
        threads=plan.threads,
        rows=str(rows),
    )
    one.ask("golden", vectors=str(vectors))
    golden: GoldenRows = plan.golden[subject.tower]
    one.golden = golden.judge(np.load(vectors), subject.precision)
    if not one.golden.passed:
        one.reason = one.golden.complaint


def _time_in_turns(running: Sequence[_Running], plan: Plan, tell: Tell) -> None:
    for one in running:
        _guarded(_warm_up, one, plan)
    for turn in range(ROUNDS):
        tell(f"round {turn + 1} of {ROUNDS}")
        # Back and forth, so that no file always follows the same one.
        for one in running if turn % 2 == 0 else reversed(running):
            if one.reason is None:
                _guarded(_round, one, plan)


def _warm_up(one: _Running, plan: Plan) -> None:
    one.ask("run", runs=WARM_UPS)


def _round(one: _Running, plan: Plan) -> None:
    one.milliseconds += one.ask("run", runs=RUNS_A_ROUND)["milliseconds"]


def _finish(one: _Running, plan: Plan) -> None:
    if plan.sustained_seconds is not None:
        calls = one.ask("sustain", seconds=plan.sustained_seconds)["calls"]
        one.sustained = SustainedRun.of(calls)
    one.finished = one.ask("finish")


def _result(one: _Running, threads: int) -> FileResult:
    timed = one.reason is None
    runtime = one.loaded.get("runtime", {"name": one.subject.format, "version": "unknown"})
    subject = one.subject
    return FileResult(
        tower=subject.tower,
        format=subject.format,
        precision=subject.precision,
        file=subject.file,
        sha256=subject.sha256,
        runtime=Runtime(**runtime),
        delegate=one.loaded.get("delegate", "CPU"),
        threads=threads,
        golden=one.golden,
        timing=_timing(one) if timed else None,
        sustained=one.sustained if timed else None,
        peak_memory_bytes=one.finished.get("peak"),
        reason=one.reason,
    )


def _timing(one: _Running) -> Timing:
    return Timing.of(
        one.milliseconds,
        warm_ups=WARM_UPS,
        cold_load_ms=one.loaded["cold"],
        warm_load_ms=one.finished["warm"],
        first_inference_ms=one.loaded["first"],
    )

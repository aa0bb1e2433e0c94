"""Running rows in parallel processes, parents before children."""

import multiprocessing
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from study.plan import Base, Job, ancestors, fresh_recipe
from study.row import IMAGE_1, IMAGE_2, TEXT_1, TEXT_2, On
from study.work import start_worker, train

from retrieval.compress.loop.reporter import SilentReporter
from retrieval.spec.ways import WAYS

_STAGE_SECONDS = {IMAGE_1: 95.0, TEXT_1: 50.0, IMAGE_2: 60.0, TEXT_2: 40.0}
"""Of one core, for the time that is left; nothing else depends on it."""
_ROW_SECONDS = 8.0

Train = Callable[[Base, Job, Path], Any]


def expected_seconds(job: Job) -> float:
    """Rough duration of a row on one core, for progress."""
    stages = [one for one in job.row.stages if isinstance(one, On)]
    return _ROW_SECONDS + sum(_STAGE_SECONDS[one.stage] for one in stages)


def run_jobs(
    base: Base,
    waiting: Sequence[Job],
    out: Path,
    parallel: int,
    *,
    done: Callable[[], object] = lambda: None,
    work: Train = train,
    pool: Executor | None = None,
) -> dict[str, str]:
    """Run rows; those with the most descendants first.

    Args:
        base: The common recipe.
        waiting: From `study.results.remaining`.
        out: Folder of the study.
        parallel: Processes.
        done: Called after each row.
        work: Trains one row; must be importable by the processes.
        pool: Runs ``work``; by default processes of one thread each.

    Returns:
        One line for each row that failed or could not be started, by title.

    Raises:
        KeyboardInterrupt: After Ctrl-C, once running rows have saved their state.
    """
    if not waiting:
        return {}
    weight = {job.key: expected_seconds(job) for job in waiting}
    for job in waiting:
        for one in ancestors(job):
            if one.key in weight:
                weight[one.key] += expected_seconds(job)
    ordered = sorted(waiting, key=lambda job: -weight[job.key])
    pool = pool or ProcessPoolExecutor(
        parallel, mp_context=multiprocessing.get_context("spawn"), initializer=start_worker
    )
    try:
        return _run(pool, base, ordered, out, parallel, done, work)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def build_caches(base: Base, waiting: Sequence[Job], out: Path) -> None:
    """Build the teacher's caches, which two processes must not do at once.

    Args:
        base: The common recipe.
        waiting: If nothing is waiting, nothing is built.
        out: Folder of the study.

    Raises:
        LeanclipError: Teacher or data are missing or damaged.
    """
    from retrieval.compress.teaching.materials import Materials
    from retrieval.compress.teaching.teacher import Teacher

    if not waiting:
        return
    first = waiting[0]
    while first.parent is not None:
        first = first.parent
    recipe = fresh_recipe(base, first)
    for source in recipe.teachers:
        teacher = Teacher(source, out / "teacher-cache", SilentReporter())
        materials = Materials(recipe.data, teacher)
        materials.photos()
        materials.sentences()
        materials.dev()


def _run(
    pool: Executor,
    base: Base,
    waiting: list[Job],
    out: Path,
    parallel: int,
    done: Callable[[], object],
    work: Train,
) -> dict[str, str]:
    failed: dict[str, str] = {}
    unfinished = {job.key for job in waiting}
    running: dict[Future[Any], Job] = {}
    with _progress() as bar:
        task = bar.add_task("study", total=sum(map(expected_seconds, waiting)), note="")
        while waiting or running:
            for job in [one for one in waiting if one.parent and one.parent.title in failed]:
                waiting.remove(job)
                failed[job.title] = f"it goes on from {job.parent.title}, which failed"
                bar.advance(task, expected_seconds(job))
            ready = [job for job in waiting if not (job.parent and job.parent.key in unfinished)]
            for job in ready[: parallel - len(running)]:
                waiting.remove(job)
                running[pool.submit(work, base, job, out)] = job
            bar.update(task, note=", ".join(job.title for job in running.values()))
            for future in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                job = running.pop(future)
                reason = _failure(future)
                if reason is None:
                    unfinished.discard(job.key)
                    bar.console.print(_line(job, future.result()), highlight=False, markup=False)
                else:
                    failed[job.title] = reason
                    bar.console.print(f"failed: {job.title}: {reason}", markup=False)
                bar.advance(task, expected_seconds(job))
                done()
    return failed


def _failure(future: Future[Any]) -> str | None:
    """One line; Ctrl-C and a lost process end the whole study."""
    error = future.exception()
    if error is None:
        return None
    if isinstance(error, KeyboardInterrupt | BrokenProcessPool):
        raise error
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"


def _line(job: Job, result: Mapping[str, Any]) -> str:
    try:
        dev = result["stages"][-1]["dev"]
        both = [100 * dev[way]["recall@10"] for way in WAYS]
        return f"{job.title}: recall@10 {both[0]:.1f} and {both[1]:.1f}, {result['seconds']:.0f} s"
    except (KeyError, IndexError, TypeError):
        return job.title


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(file=sys.stderr),
    )

"""Training one row, in a process of its own with one thread."""

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from figures import REPOSITORY
from study.plan import Base, Job, continuing_recipe, fresh_recipe

from retrieval.spec.errors import LeanclipError

RESULT = "result.json"
_START = "start"
_training = False


def start_worker() -> None:
    """Prepare a process of the pool: one thread, and Ctrl-C only ends what trains."""
    import torch

    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, _interrupt)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    if _training:
        raise KeyboardInterrupt


def train(base: Base, job: Job, out: Path) -> dict[str, Any]:
    """Run what is missing of a row and write its ``result.json``.

    Args:
        base: The common recipe.
        job: The row, whose parent is done.
        out: Folder of the study.

    Returns:
        The result: what was trained, where, and its figures on dev.

    Raises:
        LeanclipError: As `retrieval.compress.runner.run_recipe`.
    """
    global _training
    _training = True
    try:
        return _train(base, job, out)
    finally:
        _training = False


def _train(base: Base, job: Job, out: Path) -> dict[str, Any]:
    from study.measure import export_row

    from retrieval.compress.runner import run_recipe, stage_metrics
    from retrieval.models.checkpoint import read_config
    from retrieval.spec.files import write_json

    folder = job.folder(out)
    started = time.monotonic()
    if job.parent is None:
        recipe = fresh_recipe(base, job)
    else:
        parent = job.parent.folder(out)
        checkpoint = parent / "student"
        for bridge in parent.glob("bridge-*.safetensors"):
            if not (folder / bridge.name).exists():
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy(bridge, folder / bridge.name)
        if job.row.fresh is not None:
            checkpoint = _graft(base, job, checkpoint, folder / _START)
        recipe = continuing_recipe(base, job, checkpoint, read_config(checkpoint))
    run_recipe(recipe, folder)
    stages = stage_metrics(recipe, folder)
    result = {
        "group": job.row.group,
        "row": job.row.name,
        "seed": job.seed,
        "sha256": job.sha256,
        "parent": job.parent and job.parent.title,
        "commit": commit(),
        "seconds": round(time.monotonic() - started, 1),
        "training_seconds": round(sum(_seconds(folder / one["stage"]) for one in stages), 1),
        "stages": stages,
        "config": read_config(folder / "student").model_dump(mode="json"),
    }
    write_json(folder / RESULT, result)
    # What cannot be exported is named when everything is measured.
    with suppress(LeanclipError):
        export_row(job, out)
    return result


def _graft(base: Base, job: Job, parent: Path, folder: Path) -> Path:
    """A checkpoint of a fresh tower and the parent's other one."""
    from retrieval.compress.student import make_student
    from retrieval.models.checkpoint import CONFIG, load_checkpoint, save_checkpoint

    if (folder / CONFIG).is_file():
        return folder
    given = load_checkpoint(parent)
    model, tokenizer = make_student(fresh_recipe(base, job, given.config))
    other = "image" if job.row.fresh == "text" else "text"
    getattr(model, other).load_state_dict(getattr(given.model, other).state_dict())
    save_checkpoint(folder, model, tokenizer)
    return folder


def _seconds(stage: Path) -> float:
    """Seconds of all steps of a stage, by its log: interruptions do not count."""
    log = stage / "log.jsonl"
    if not log.is_file():
        return 0.0
    return sum(json.loads(line).get("seconds", 0.0) for line in log.read_text("utf-8").splitlines())


def commit() -> str:
    """Of this repository; a plus says that its code differs from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    found = git("rev-parse", "--short=12", "HEAD") or "unknown"
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "retrieval", "export")
    return f"{found}+" if changed else found

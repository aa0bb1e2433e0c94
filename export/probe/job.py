"""What a shell app is asked to do, and the folder in which it finds that."""

import json
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from export.probe.figures import LEAST_RUNS, WARM_UPS
from export.probe.plan import Plan
from export.probe.result import DeviceKind, ProbeResult
from retrieval.spec.base import Spec
from retrieval.spec.bundle import GOLDEN, MANIFEST, TowerFile
from retrieval.spec.errors import ProbeError
from retrieval.spec.files import write_json

RUNS = 2 * LEAST_RUNS
JOB = "job.json"
BUNDLE = "bundle"
RESULT = "result.json"
FAILURE = "failure.txt"
"""One sentence that an app writes when it cannot make a result."""


class Job(Spec):
    """A probe that an app is to make; ``job.json`` beside the folder ``bundle``."""

    schema_version: Literal[1] = 1
    run: str
    """Names the folder in which all lies, and in which the app puts ``result.json``."""
    files: Annotated[tuple[str, ...], Field(min_length=1)]
    """Paths of tower files relative to ``bundle``; what else its manifest names is not there."""
    threads: int
    warm_ups: int = WARM_UPS
    runs: int = RUNS
    sustained_seconds: float | None
    """None for no sustained run."""


def new_run() -> str:
    """A name for a run that no other run has, safe in any shell and path."""
    return f"leanclip-probe-{uuid.uuid4().hex[:12]}"


def stage_job(plan: Plan, run: str, folder: Path) -> None:
    """Lay out in ``folder`` what an app needs: the job, and those files of the bundle."""
    job = Job(
        run=run,
        files=tuple(file.file for file in plan.files),
        threads=plan.threads,
        sustained_seconds=plan.sustained_seconds,
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JOB).write_text(job.model_dump_json(indent=2) + "\n", "utf-8")
    stage_bundle(plan, plan.files, folder / BUNDLE)
    # As it is: a manifest must name both towers, and the plan may have one.
    shutil.copyfile(plan.folder / MANIFEST, folder / BUNDLE / MANIFEST)


def stage_bundle(plan: Plan, files: Sequence[TowerFile], folder: Path) -> None:
    """Copy a bundle of which only some tower files are there, and named in its manifest."""
    manifest = json.loads((plan.folder / MANIFEST).read_text("utf-8"))
    kept = [file.file for file in files]
    manifest["files"] = [entry for entry in manifest["files"] if entry["file"] in kept]
    for name in (GOLDEN, plan.bundle.text.vocabulary_file, *kept):
        source, target = plan.folder / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, target)
    write_json(folder / MANIFEST, manifest)


def seconds_allowed(plan: Plan) -> float:
    """How long an app may take before it is given up."""
    return 60 + len(plan.files) * (120 + (plan.sustained_seconds or 0))


def check_answer(plan: Plan, result: ProbeResult, kind: DeviceKind) -> ProbeResult:
    """A result that an app sent, after it was found to belong to the plan.

    Raises:
        ProbeError: It is of another model, another kind of device or other files.
    """
    if result.bundle.fingerprint != plan.bundle.fingerprint or result.device.kind != kind:
        raise ProbeError(
            f"the app answered for {result.bundle.name} on {result.device.kind}, asked for "
            f"{plan.bundle.name} on {kind}: install the app of this version of leanclip"
        )
    asked = {(file.tower, file.format, file.precision, file.sha256) for file in plan.files}
    answered = {(*file.key, file.sha256) for file in result.files}
    if asked != answered:
        raise ProbeError(
            f"the app answered for {len(answered & asked)} of {len(asked)} files: install the app "
            "of this version of leanclip, or choose files with --format and --precision"
        )
    return result

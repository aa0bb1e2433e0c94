"""Results of rows on disk, and the CSV and JSON made of them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from figures import read_csv, read_figures, stamp, write_csv
from study.plan import Job
from study.rows import baseline_of
from study.work import RESULT

from retrieval.evaluate.latency import machine_name
from retrieval.spec.files import write_json
from retrieval.spec.ways import WAYS

MEASURED = "measured.json"
SHORT = dict(zip(("t2i", "i2t"), WAYS, strict=True))
"""How columns name the ways of retrieval."""
COLUMNS = (
    "group", "row", "seed", "baseline", "criterion", "zeros", "sha256", "commit", "machine",
    "parameters", "image_parameters", "text_parameters",
    *(f"{short}_r{k}" for short in SHORT for k in (1, 5, 10)), "mean_recall",
    "bytes", "bytes_int8", "bytes_sparse", "ms_photo", "ms_sentence", "training_seconds",
)  # fmt: skip
PACKAGES = ("leanclip", "torch", "timm", "onnxruntime", "numpy", "torch-pruning")


def finished(job: Job, out: Path) -> bool:
    """Whether a row's result is there, of this very recipe."""
    result = read_result(job, out)
    return result is not None and result.get("sha256") == job.sha256


def remaining(jobs: Sequence[Job], out: Path, figures: Path) -> list[Job]:
    """Jobs that are still to run, in their order.

    A row whose figures are in the committed tables, measured and of this very recipe, is not
    run again, even where its run was deleted; unless one that goes on from it is.

    Args:
        jobs: Parents before children.
        out: Folder of the study.
        figures: Path of the tables without ending.
    """
    known = {row["sha256"] for row in read_csv(figures) if row["bytes"]}
    needed: set[tuple[str, str, int]] = set()
    for job in reversed(jobs):
        wanted = job.key in needed or (job.row.reported and job.sha256 not in known)
        if not wanted or finished(job, out):
            needed.discard(job.key)
            continue
        needed.add(job.key)
        if job.parent is not None:
            needed.add(job.parent.key)
    return [job for job in jobs if job.key in needed]


def read_result(job: Job, out: Path, name: str = RESULT) -> dict[str, Any] | None:
    """A JSON file of a row's folder; None if there is none or it is not whole."""
    try:
        value: dict[str, Any] = json.loads((job.folder(out) / name).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return value


def update_tables(jobs: Sequence[Job], out: Path, figures: Path) -> None:
    """Write ``figures`` with the endings ``.csv`` and ``.json`` anew.

    Rows that were not run on this machine keep the figures that they had, as long as their
    recipe is the same.

    Args:
        jobs: All of the study.
        out: Folder of the study.
        figures: Path without ending.
    """
    before = {row["sha256"]: row for row in read_csv(figures)}
    raw_before = {one["sha256"]: one for one in read_figures(figures).get("raw", [])}
    rows: list[Mapping[str, Any]] = []
    raw: list[Mapping[str, Any]] = []
    for job in jobs:
        if not job.row.reported:
            continue
        result = read_result(job, out) if finished(job, out) else None
        if result is not None:
            rows.append(_row(job, result, read_result(job, out, MEASURED) or {}))
            raw.append({key: value for key, value in result.items() if key != "config"})
        elif job.sha256 in before:
            rows.append(before[job.sha256])
            raw += [raw_before[job.sha256]] if job.sha256 in raw_before else []
    write_csv(figures, COLUMNS, [{name: row.get(name) for name in COLUMNS} for row in rows])
    stamped = stamp(
        threads="1 for each row, rows in parallel; 1 for milliseconds",
        statistic="recall of the best epoch on dev; milliseconds: median of rounds' medians",
        packages=PACKAGES,
    )
    content = {"benchmark": figures.name, "stamp": stamped, "raw": raw}
    write_json(figures.with_suffix(".json"), content)


def _row(job: Job, result: Mapping[str, Any], measured: Mapping[str, Any]) -> dict[str, Any]:
    last = result["stages"][-1]
    dev, parameters = last["dev"], last["parameters"]
    recalls = {
        f"{short}_r{k}": round(100 * dev[way][f"recall@{k}"], 2)
        for short, way in SHORT.items()
        for k in (1, 5, 10)
    }
    return {
        "group": job.row.group,
        "row": job.row.name,
        "seed": job.seed,
        "baseline": baseline_of(job.row),
        "criterion": job.row.criterion,
        "zeros": job.row.zeros,
        "sha256": job.sha256,
        "commit": result["commit"],
        "machine": result.get("machine") or machine_name(),
        "parameters": sum(parameters.values()),
        "image_parameters": parameters["image"],
        "text_parameters": parameters["text"],
        **recalls,
        "mean_recall": round(sum(recalls.values()) / len(recalls), 3),
        "training_seconds": result["training_seconds"],
        **measured,
    }

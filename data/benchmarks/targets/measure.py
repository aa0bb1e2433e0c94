"""Measuring rows: files are made, compared with PyTorch, and timed beside the baseline."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from targets.accuracy import INT8, Judge, judging, not_square
from targets.bundles import Refused, Workshop, bundle_folder, one_line
from targets.results import MEASURED, MISSING, REFUSED, Results
from targets.row import TIMED, Model, Row
from targets.timing import CALLS, ROUNDS, Timed, time_in_turns, times_faster

from export.probe.browser import probe_browser
from export.probe.plan import make_plan
from export.probe.run import WEB
from retrieval.corpora.pairs import read_pairs
from retrieval.spec.bundle import MANIFEST, TowerFile, read_bundle
from retrieval.spec.errors import LeanclipError, MissingExtraError, ProbeError
from retrieval.spec.tower import Tower


@dataclass(frozen=True)
class Settings:
    """How rows are measured.

    Attributes:
        work: Folder for bundles, which can be deleted when all is done.
        baseline: What all are compared with.
        data: Captioned photos for models that retrieve.
        photos: Captioned photos for the others; square ones are left out.
        calibration: Captioned photos for precisions with fixed scales.
        site: Folder of the assembled web shell.
        rounds: Of timing.
        calls: In each round.
    """

    work: Path
    baseline: Model
    data: Path
    photos: Path
    calibration: Path
    site: Path = WEB
    rounds: int = ROUNDS
    calls: int = CALLS


Tell = Callable[[str], None]
Done = Callable[[Row], None]


def measure_model(
    model: Model,
    rows: Sequence[Row],
    waiting: Sequence[Row],
    results: Results,
    settings: Settings,
    *,
    tell: Tell,
    done: Done,
) -> list[str]:
    """Measure what is missing of a model; results are saved after each format of a tower.

    Args:
        model: Which.
        rows: All of its rows.
        waiting: Those to measure.
        results: Take them in.
        settings: How.
        tell: Told what is being done.
        done: Told of each row that is finished.

    Returns:
        What people should know although nothing failed.

    Raises:
        LeanclipError: Photos or the baseline cannot be read.
        OSError: The disk is full or not writable.
    """
    tell(f"{model.name}: loading")
    try:
        workshop = Workshop(model, settings.work, settings.calibration, tell)
    except MissingExtraError:
        raise
    except LeanclipError as error:
        _refuse_all(waiting, one_line(error), results, done)
        return []
    pairs = read_pairs(settings.data if model.retrieves else settings.photos)
    if not model.retrieves:
        pairs = not_square(pairs)
    tell(f"{model.name}: PyTorch on {len(pairs)} photos")
    with judging(workshop.folder, workshop.source, pairs, retrieves=model.retrieves) as judge:
        units: dict[tuple[Tower, str], list[Row]] = defaultdict(list)
        for row in waiting:
            units[row.tower, row.format].append(row)
        for unit in units.values():
            _measure_unit(unit, workshop, judge, results, settings, tell)
            results.save()
            for row in unit:
                done(row)
        if not model.retrieves:
            return []
        tell(f"{model.name}: what to recommend")
        _recommend(rows, workshop, judge, results)
    notes = _probe_in_browser(rows, workshop, results, settings, tell)
    results.save()
    return notes


def baseline_files(settings: Settings, tell: Tell) -> dict[Tower, TowerFile]:
    """The baseline's fp32 ONNX files, made if they are not there."""
    folder = bundle_folder(settings.baseline, settings.work)
    if not (folder / MANIFEST).is_file():
        tell(f"exporting {settings.baseline.name}")
        Workshop(settings.baseline, settings.work, settings.calibration, tell)
    bundle = read_bundle(folder)
    towers: tuple[Tower, ...] = ("image", "text")
    return {tower: bundle.file(tower, "onnx", "fp32") for tower in towers}


def _measure_unit(
    unit: Sequence[Row],
    workshop: Workshop,
    judge: Judge,
    results: Results,
    settings: Settings,
    tell: Tell,
) -> None:
    """All rows of one tower in one format."""
    tower, format = unit[0].tower, unit[0].format
    files = workshop.convert(tower, format, [row.precision for row in unit])
    values: dict[Row, dict[str, Any]] = {}
    timed: dict[Row, Timed] = {}
    reference = baseline_files(settings, tell)[tower]
    for row in unit:
        file = files[row.precision]
        if isinstance(file, Refused):
            status = REFUSED if file.final else MISSING
            values[row] = {"status": status, "reason": file.reason}
            continue
        tell(f"running {row.key}")
        figures = judge.figures(file)
        values[row] = {"status": MEASURED, "file": file.file, **figures}
        values[row]["inputs"] = _inputs(judge, tower)
        values[row]["bytes_share"] = file.bytes / reference.bytes
        if format in TIMED and "worst_cosine" in values[row]:
            timed[row] = Timed(workshop.folder, file)
    baseline = Timed(bundle_folder(settings.baseline, settings.work), reference)
    if timed:
        tell(f"timing {unit[0].model}, {tower}, {format} in {settings.rounds} rounds")
        every = [*timed.values(), baseline]
        time_in_turns(every, rounds=settings.rounds, calls=settings.calls)
    for row in unit:
        one = timed.get(row)
        raw = {} if one is None else {"rounds": one.rounds, "baseline_rounds": baseline.rounds}
        results.put(row, values[row] | _times(values[row], one, baseline), raw)


def _times(values: dict[str, Any], one: Timed | None, baseline: Timed) -> dict[str, Any]:
    if one is None:
        return {}
    reasons = [values["reason"], one.reason or ""]
    return {
        "ms": one.milliseconds,
        "baseline_ms": baseline.milliseconds,
        "times_faster": times_faster(one, baseline),
        "reason": "; ".join(filter(None, reasons)),
    }


def _inputs(judge: Judge, tower: Tower) -> int:
    """How many inputs the cosines are of."""
    if tower == "image":
        return judge.material.photos
    return len(judge.material.sentences)


def _recommend(rows: Sequence[Row], workshop: Workshop, judge: Judge, results: Results) -> None:
    """Mark what ``--recommend`` chooses, of formats whose measured files are all still there."""
    bundle = workshop.bundle
    there = {file.file for file in bundle.files}
    by_format: dict[str, dict[Row, str]] = defaultdict(dict)
    for row, line in _measured(rows, results).items():
        by_format[row.format][row] = line["file"]
    choices = {
        "recommended": judge.recommended(bundle),
        "recommended_int8": judge.recommended(bundle, INT8),
    }
    chosen = {column: defaultdict(set, choice) for column, choice in choices.items()}
    for format, members in by_format.items():
        if not there.issuperset(members.values()):
            continue
        for row, file in members.items():
            results.add(row, {column: file in names[format] for column, names in chosen.items()})


def _probe_in_browser(
    rows: Sequence[Row], workshop: Workshop, results: Results, settings: Settings, tell: Tell
) -> list[str]:
    """Milliseconds of ONNX files in headless Chromium, of those that have none yet."""
    missing = {
        line["file"]: row
        for row, line in _measured(rows, results).items()
        if row.format == "onnx" and not line["browser_ms"] and not line["browser_reason"]
    }
    if not missing:
        return []
    try:
        plan = make_plan(workshop.folder, formats=("onnx",))
        files = tuple(file for file in plan.files if file.file in missing)
        answer = probe_browser(replace(plan, files=files), settings.site, tell=tell)
    except (MissingExtraError, ProbeError) as error:
        return [f"no figures of the browser: {error}"]
    for file in answer.files:
        time = file.timing.p50_ms if file.timing is not None else None
        results.add(missing[file.file], {"browser_ms": time, "browser_reason": file.reason})
    return []


def _measured(rows: Sequence[Row], results: Results) -> dict[Row, dict[str, str]]:
    """Lines of those rows that have figures."""
    lines = {row: results.line(row) for row in rows}
    return {row: line for row, line in lines.items() if line and line["status"] == MEASURED}


def _refuse_all(rows: Sequence[Row], reason: str, results: Results, done: Done) -> None:
    for row in rows:
        results.put(row, {"status": REFUSED, "reason": reason}, {})
        done(row)
    results.save()

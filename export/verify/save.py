"""Puts what a verification found into the bundle, each file whole or not at all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from export.report import REPORT, read_report
from export.verify.figures import Verification
from export.verify.ladder import Tell, Verified, verify
from export.verify.page import render
from export.verify.resizing import ResizingCost
from retrieval.corpora.pairs import CaptionedPhoto
from retrieval.models.checkpoint import Checkpoint
from retrieval.spec.bundle import GOLDEN, MANIFEST, Bundle, read_bundle
from retrieval.spec.defaults import TOLERANCE
from retrieval.spec.errors import ExportError
from retrieval.spec.files import sha256_file, write_json, write_text

PAGE = "report.html"
VERIFICATION = "verification"
RESIZING = "resizing"

_COSTS = TypeAdapter(list[ResizingCost])


def save(
    folder: Path, verified: Verified, resizing: Sequence[ResizingCost] | None = None
) -> dict[str, Any]:
    """Write the report, its page, and what has changed of manifest and golden file.

    What the exporter and earlier verifications wrote into other sections of the report stays.

    Args:
        folder: The bundle.
        verified: From `verify`.
        resizing: From `measure_resizing`, if it was measured.

    Returns:
        The report.

    Raises:
        ExportError: The earlier report is damaged; nothing was written.
    """
    report = read_report(folder)
    if resizing is not None:
        report[RESIZING] = [cost.model_dump(mode="json") for cost in resizing]
    _earlier(folder, report)
    bundle = verified.bundle
    if verified.golden is not None:
        write_text(folder / GOLDEN, verified.golden.model_dump_json() + "\n")
        bundle = bundle.model_copy(update={"golden_sha256": sha256_file(folder / GOLDEN)})
    if bundle != read_bundle(folder):
        write_json(folder / MANIFEST, bundle.model_dump(mode="json"))
    return save_verification(folder, bundle, verified.verification, report)


def save_verification(
    folder: Path, bundle: Bundle, verification: Verification, report: dict[str, Any]
) -> dict[str, Any]:
    """Write the report with a verification in it, and the page that shows it.

    Args:
        folder: The bundle.
        bundle: Its manifest.
        verification: Replaces an earlier one.
        report: What else the report is to say.

    Returns:
        The report.

    Raises:
        ExportError: What ``report`` says of resizing is damaged; nothing was written.
    """
    page = render(bundle, verification, _earlier(folder, report))
    report = report | {VERIFICATION: as_json(verification)}
    write_text(folder / PAGE, page)
    write_json(folder / REPORT, report)
    return report


def check_report(folder: Path) -> None:
    """Refuse a report to which nothing can be added, before the work of finding what to add.

    Raises:
        ExportError: It is damaged.
    """
    _earlier(folder, read_report(folder))


def recommend(
    folder: Path,
    pairs: Sequence[CaptionedPhoto],
    tolerance: float = TOLERANCE,
    *,
    checkpoint: Checkpoint | None = None,
    tell: Tell = lambda doing: None,
) -> Bundle:
    """Mark, for each format that runs here, the smallest files that still retrieve.

    The bundle is verified for that, and its report written.

    Args:
        folder: The bundle.
        pairs: Captioned photos, as `read_pairs` gives them.
        tolerance: Points of recall@10 that may be lost, either way.
        checkpoint: What the bundle was exported from; else its fp32 ONNX files are the truth.
        tell: Told what is being done.

    Returns:
        The manifest as it was written.

    Raises:
        BundleError: The bundle is damaged, or was not made from the checkpoint.
        EvaluationError: There is no truth to rest on, or no photo can be decoded.
    """
    verified = verify(
        folder, pairs, checkpoint=checkpoint, recommended=True, tolerance=tolerance, tell=tell
    )
    save(folder, verified)
    return verified.bundle


def as_json(verification: Verification) -> dict[str, Any]:
    """A verification as plain data, with whether the bundle passed."""
    failures = list(verification.failures)
    return {
        "passed": not failures,
        "failures": failures,
        **verification.model_dump(mode="json"),
    }


def _earlier(folder: Path, report: dict[str, Any]) -> list[ResizingCost] | None:
    found = report.get(RESIZING)
    try:
        return None if found is None else _COSTS.validate_python(found)
    except ValidationError as error:
        raise ExportError(
            f"{folder / REPORT} is damaged: its {RESIZING} cannot be read; "
            "measure it again with --resizing"
        ) from error

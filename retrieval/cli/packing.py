"""What ``leanclip export``, ``leanclip quantize`` and ``leanclip import`` have in common."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from retrieval.spec.bundle import Format

if TYPE_CHECKING:
    from export.quantize.calibration import Calibration
    from retrieval.models.checkpoint import Checkpoint
    from retrieval.spec.bundle import Bundle

ToFormats = Annotated[
    str, typer.Option(help=f"Formats, separated by commas: {', '.join(get_args(Format))}.")
]
CalibrationPhotos = Annotated[
    Path | None,
    typer.Option(help="Photos to calibrate with: a folder, or captioned photos (JSON lines)."),
]
CalibrationSentences = Annotated[
    Path | None,
    typer.Option(help="Sentences to calibrate with; by default the captions of the photos."),
]


def listed(names: str | None) -> list[str]:
    """Names that were given with commas between them, each once."""
    parts = (part.strip() for part in (names or "").split(","))
    return list(dict.fromkeys(part for part in parts if part))


def calibration_for(
    source: Checkpoint, photos: Path | None, sentences: Path | None
) -> Calibration | None:
    """Read what ``--calibrate`` and ``--sentences`` name, if they do.

    Raises:
        CorpusError: A file or folder is missing, malformed or without a photo.
    """
    from export.quantize.calibration import load_calibration

    if photos is None and sentences is None:
        return None
    found = load_calibration(
        photos,
        sentences,
        preprocessing=source.config.preprocessing,
        tokenizer=source.tokenizer,
    )
    for complaint in found.unreadable:
        print(f"left out: {complaint}", file=sys.stderr)
    return found


def print_bundle(
    folder: Path, bundle: Bundle, *, as_json: bool, more: Mapping[str, Any] | None = None
) -> None:
    """Print what was written: a table for people, or JSON alone on standard output.

    What files do not keep of quantised training is said on standard error, a line each.

    Args:
        folder: The bundle.
        bundle: Its manifest.
        as_json: Whether to print JSON.
        more: What else the JSON says.
    """
    from rich.console import Console
    from rich.table import Table

    from export.quantize.kept import rounding_line
    from export.report import REPORT

    parity = json.loads((folder / REPORT).read_text("utf-8"))["parity"]
    for file in bundle.files:
        if said := rounding_line(file.file, parity.get(file.file, {}).get("notes", {})):
            print(said, file=sys.stderr)
    rows = [(file, _measured(parity.get(file.file, {}))) for file in bundle.files]
    if as_json:
        files = [file.model_dump(mode="json") | near for file, near in rows]
        summary = {"bundle": str(folder), "fingerprint": bundle.fingerprint, "files": files}
        print(json.dumps({**summary, **(more or {})}))
        return
    table = Table(title=f"{bundle.name} in {folder}", title_justify="left")
    for heading in ("file", "MB", "worst cosine", "median cosine"):
        table.add_column(heading, justify="left" if heading == "file" else "right", no_wrap=True)
    for file, near in rows:
        cosines = ["-" if value is None else f"{value:.6f}" for value in near.values()]
        table.add_row(file.file, f"{file.bytes / 1e6:.2f}", *cosines)
    Console().print(table)
    print(_tested(sum(near["cosine"] is None for _, near in rows)))


def _measured(report: dict[str, Any]) -> dict[str, float | None]:
    """Cosines to PyTorch on the golden inputs; None where they are not known."""
    return {"cosine": report.get("min_cosine"), "median_cosine": report.get("median_cosine")}


def _tested(unknown: int) -> str:
    passed = "The bundle passes its golden self-test"
    if not unknown:
        return f"{passed}."
    return f"{passed}; {unknown} of its files can only be run on a device of their kind."

"""``leanclip quantize``: add files in further precisions or formats to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.cli.options import JsonOption
from retrieval.cli.packing import (
    CalibrationPhotos,
    CalibrationSentences,
    ToFormats,
    calibration_for,
    listed,
    print_bundle,
)
from retrieval.spec.errors import ExportError

if TYPE_CHECKING:
    from export.plan import Precisions
    from retrieval.spec.tower import Tower


def quantize(
    checkpoint: Annotated[
        Path, typer.Argument(help="Checkpoint folder that the bundle was exported from.")
    ],
    bundle: Annotated[Path, typer.Argument(help="Bundle to add files to.")],
    to: ToFormats = "onnx",
    precision: Annotated[
        str | None,
        typer.Option(help="One or several, separated by commas, of both towers."),
    ] = None,
    image_precision: Annotated[
        str | None, typer.Option(help="Of the image tower; alone, only that tower is added.")
    ] = None,
    text_precision: Annotated[
        str | None, typer.Option(help="Of the text tower; alone, only that tower is added.")
    ] = None,
    calibrate: CalibrationPhotos = None,
    sentences: CalibrationSentences = None,
    as_json: JsonOption = False,
) -> None:
    """Add files in further precisions or formats to a bundle of the same model.

    The new files take the same tests as in leanclip export; the bundle changes only when
    all of them passed. Files of the same tower, format and precision are replaced. See
    leanclip export --help for the precisions.

    \b
    leanclip quantize runs/student student.bundle --precision int8,int4
    leanclip quantize runs/student student.bundle --to litert --precision fp16
    leanclip quantize runs/student student.bundle --image-precision int8-static,mixed \\
        --calibrate pairs.jsonl
    """
    from rich.console import Console

    from export.bundle import add_files
    from export.targets.registry import require_converters
    from retrieval.models.checkpoint import load_checkpoint
    from retrieval.spec.bundle import read_bundle

    precisions = _asked(listed(precision), listed(image_precision), listed(text_precision))
    formats = listed(to)
    require_converters(formats)
    read_bundle(bundle)
    source = load_checkpoint(checkpoint)
    with Console(stderr=True).status(f"quantising {checkpoint}") as status:
        changed = add_files(
            bundle,
            source,
            formats=formats,
            precisions=precisions,
            calibration=calibration_for(source, calibrate, sentences),
            tell=status.update,
        )
    print_bundle(bundle, changed, as_json=as_json)


def _asked(both: list[str], image: list[str], text: list[str]) -> dict[Tower, Precisions]:
    named: dict[Tower, list[str]] = {"image": image or both, "text": text or both}
    asked: dict[Tower, Precisions] = {tower: names for tower, names in named.items() if names}
    if not asked:
        raise ExportError(
            "say which files to add: --precision, --image-precision or --text-precision"
        )
    return asked

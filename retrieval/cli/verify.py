"""``leanclip verify``: prove that every file of a bundle still retrieves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.cli.options import JsonOption
from retrieval.spec.defaults import TOLERANCE

if TYPE_CHECKING:
    from rich.table import Table

    from export.verify.figures import Verification
    from export.verify.ladder import Verified
    from export.verify.resizing import ResizingCost
    from retrieval.corpora.pairs import CaptionedPhoto


def verify(
    bundle: Annotated[Path, typer.Argument(help="Bundle folder; its report is written there.")],
    data: Annotated[
        Path,
        typer.Option(
            metavar="PAIRS.jsonl",
            help='Lines of {"image": "folder/photo.jpg", "captions": ["...", ...]}.',
        ),
    ],
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="What the bundle was exported from: the truth. Else its fp32 files."),
    ] = None,
    photos: Annotated[
        int | None, typer.Option(min=1, help="Take only the first so many photos.")
    ] = None,
    recommend: Annotated[
        bool, typer.Option("--recommend", help="Mark the smallest files that still retrieve.")
    ] = False,
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Points of recall@10 that files which a host opens may lose.  "
            f"[default: {TOLERANCE:g}]",
        ),
    ] = None,
    golden: Annotated[
        bool, typer.Option("--golden", help="Make golden.json again, from the checkpoint.")
    ] = False,
    resizing: Annotated[
        bool,
        typer.Option("--resizing", help="Also measure what filters of other platforms cost."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run every file of a bundle that this machine can run, and search with it.

    Each is compared with PyTorch (--checkpoint), or with the bundle's own fp32 ONNX files, or
    else with its golden vectors: cosines on real photos and awkward sentences, the first ten
    results, recall both ways, bytes, memory and milliseconds. The figures go into report.json
    and report.html in the bundle. The exit status is 1 when a file falls short: fp32 below a
    cosine of 0.9999, fp16 below 0.999, any other on its golden inputs, and the files that a
    host opens when they lose too much recall. Where an error starts is said as far as the
    format shows it. Core ML files need a Mac; here they are listed as not run.

    \b
    leanclip verify student.bundle --data dev.jsonl --checkpoint runs/student/student
    leanclip verify student.bundle --data dev.jsonl --recommend
    leanclip verify student.bundle --data dev.jsonl --resizing --photos 200
    """
    from rich.console import Console

    from export.verify.ladder import verify as verify_bundle
    from export.verify.save import check_report, save
    from retrieval.corpora.pairs import read_pairs
    from retrieval.models.checkpoint import load_checkpoint
    from retrieval.spec.bundle import read_bundle

    pairs = read_pairs(data)[:photos]
    read_bundle(bundle)
    check_report(bundle)
    source = load_checkpoint(checkpoint) if checkpoint else None
    with Console(stderr=True).status(f"verifying {bundle}") as status:
        verified = verify_bundle(
            bundle,
            pairs,
            checkpoint=source,
            recommended=recommend,
            golden=golden,
            tolerance=TOLERANCE if tolerance is None else tolerance,
            tell=lambda doing: status.update(doing),
        )
    costs = _measure_resizing(bundle, pairs) if resizing else None
    report = save(bundle, verified, costs)
    if as_json:
        print(
            json.dumps({key: report[key] for key in ("verification", "resizing") if key in report})
        )
    else:
        _show(bundle, verified, costs)
    if verified.verification.failures:
        raise typer.Exit(1)


def _measure_resizing(bundle: Path, pairs: Sequence[CaptionedPhoto]) -> list[ResizingCost]:
    from export.verify.resizing import measure_resizing
    from retrieval.cli.progress import counting_bar
    from retrieval.encode.onnx import OnnxEncoder

    with counting_bar("shrinking photos", len(pairs)) as advance:
        return measure_resizing(OnnxEncoder(bundle), pairs, advance=advance)


def _show(bundle: Path, verified: Verified, costs: list[ResizingCost] | None) -> None:
    from rich.console import Console

    from export.verify.save import PAGE

    console, verification = Console(soft_wrap=True), verified.verification
    console.print(_files(verification))
    console.print(_pairs(verification))
    if costs is not None:
        console.print(_costs(costs))
    lines = [f"compared with {verification.truth}"]
    if verification.unreadable:
        first = verification.unreadable[0]
        count = len(verification.unreadable)
        lines.append(f"left out {count} photos that cannot be decoded; the first: {first}")
    lines += verification.notes
    lines += [
        f"{file.file}: error starts at {file.error_starts}"
        if not file.error_starts.startswith("not located")
        else f"{file.file}: where the error starts is {file.error_starts}"
        for file in verification.files
        if file.error_starts
    ]
    lines += [f"falls short: {failure}" for failure in verification.failures]
    lines.append(f"report: {bundle / PAGE}")
    console.print("\n".join(lines), highlight=False, markup=False)


def _files(verification: Verification) -> Table:
    from rich.table import Table

    from export.verify import cells

    counted = f"{verification.photos:,} photos, {verification.captions:,} captions"
    title = f"{counted}; † recommended"
    table = Table(title=title, title_justify="left")
    table.add_column("file", no_wrap=True)
    for heading in ("MB", "worst cosine", "median cosine", "ms", "memory MB"):
        table.add_column(heading, justify="right")
    table.add_column("result")
    for file in verification.files:
        table.add_row(
            f"{file.format} {file.tower} {file.precision}{' †' if file.recommended else ''}",
            cells.megabytes(file.bytes),
            cells.cosine(file.worst_cosine),
            cells.cosine(file.median_cosine),
            cells.milliseconds(file.ms),
            cells.megabytes(file.added_memory),
            "falls short" if file.failures else cells.status(file),
        )
    return table


def _pairs(verification: Verification) -> Table:
    from rich.table import Table

    from export.verify import cells
    from retrieval.spec.ways import WAYS

    table = Table(title="both towers, image + text; * what a host opens", title_justify="left")
    table.add_column("files")
    table.add_column("MB", justify="right")
    for heading in ("text to image", "image to text"):
        table.add_column(f"{heading} @10", justify="right")
        table.add_column("points", justify="right")
    table.add_column("same top 10", justify="right")
    table.add_column("result")
    for pair in verification.pairs:
        both = [(cells.recall_at_10(pair.loss, w), cells.difference(pair.loss, w)) for w in WAYS]
        table.add_row(
            f"{pair.format} {cells.pair_name(pair)}{' *' if pair.opened else ''}",
            cells.megabytes(pair.bytes),
            *(cell for way in both for cell in way),
            cells.overlap(pair.loss),
            "falls short" if pair.failures else cells.pair_status(pair),
        )
    return table


def _costs(costs: Sequence[ResizingCost]) -> Table:
    from rich.table import Table

    from export.verify import cells

    table = Table(title="photos shrunk as other platforms do", title_justify="left")
    table.add_column("filter")
    table.add_column("stands for")
    for heading in ("worst cosine", "mean recall", "points lost"):
        table.add_column(heading, justify="right")
    for cost in costs:
        table.add_row(
            cost.resizing,
            cost.stands_for,
            cells.cosine(cost.worst_cosine),
            f"{100 * cost.mean_recall:.2f} %",
            f"{cost.cost:+.2f}",
        )
    return table

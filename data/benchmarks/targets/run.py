"""Every tower by target and precision: bytes, cosine, recall and ms against CLIP's ViT-B/32.

    python data/benchmarks/targets/run.py --checkpoint runs/student/student \
        --data data/downloads/flickr8k/dev.jsonl
    python data/benchmarks/targets/run.py --list
    python data/benchmarks/targets/run.py --only default --only mobilenetv4_conv_small/image/onnx
    python data/benchmarks/targets/run.py --table       # Markdown and plot from the CSV alone

A row that is done is not run again, as long as its weights and inputs are the same; Ctrl-C keeps
what is done. The result is ``data/benchmarks/targets.csv``, ``.json``, ``.md`` and ``.svg``.
Milliseconds ask for a machine on which nothing else runs; its load stands in the JSON file.
For the browser's figures, assemble the web shell first (``make web``).
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from figures import HERE, PHOTOS, REPOSITORY, read_csv
from rich.console import Console
from targets.goals import goals
from targets.measure import Settings, measure_model
from targets.models import baseline, default_model, registry_towers
from targets.plot import draw_plot
from targets.progress import following
from targets.results import Results
from targets.row import Model, Row, chosen, rows_of
from targets.table import write_table
from targets.timing import CALLS, ROUNDS

from retrieval.spec.errors import LeanclipError

PAIRS = PHOTOS / "pairs.jsonl"


def main(
    checkpoint: Annotated[
        Path, typer.Option(help="The default model's checkpoint folder.")
    ] = REPOSITORY / "data" / "teacher",
    data: Annotated[
        Path, typer.Option(help="Captioned photos on which the default model's recall is measured.")
    ] = PAIRS,
    calibration: Annotated[
        Path, typer.Option(help="Captioned photos for precisions with fixed scales.")
    ] = PAIRS,
    work: Annotated[Path, typer.Option(help="Folder for bundles.")] = REPOSITORY
    / "runs"
    / "targets",
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Which rows: MODEL, or MODEL/TOWER, or on to /FORMAT/PRECISION."
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of timing.")] = ROUNDS,
    figures: Annotated[Path, typer.Option(help="Results, without ending.")] = HERE / "targets",
    list_rows: Annotated[bool, typer.Option("--list", help="List rows, measure nothing.")] = False,
    table: Annotated[bool, typer.Option("--table", help="Only write Markdown and plot.")] = False,
) -> None:
    """Measure what is missing and write the table."""
    if table:
        _write(figures)
        return
    clip = baseline()
    models = [clip, default_model(checkpoint, data, calibration), *registry_towers(calibration)]
    everything = [row for model in models for row in rows_of(model)]
    statistic = f"median of {rounds} rounds' medians of {CALLS} calls, batch 1"
    results = Results(figures, everything, statistic)
    wanted = chosen(everything, only or ())
    if list_rows:
        _list(wanted, results)
        return
    settings = Settings(work, clip, data, PAIRS, calibration, rounds=rounds)
    try:
        notes = run(models, wanted, results, settings)
    except KeyboardInterrupt:
        typer.echo("stopped; run the same command again to go on", err=True)
        raise typer.Exit(130) from None
    finally:
        _write(figures)
    for note in notes:
        typer.echo(note, err=True)


def run(
    models: Sequence[Model], wanted: Sequence[Row], results: Results, settings: Settings
) -> list[str]:
    """Measure those of the wanted rows that are not done, model by model.

    Args:
        models: All.
        wanted: Rows of some of them.
        results: Say what is done, and take in the rest.
        settings: How.

    Returns:
        What people should know although nothing failed.
    """
    notes: list[str] = []
    waiting = [row for row in wanted if not results.done(row)]
    with following(waiting, Console(stderr=True)) as (tell, done):
        for model in models:
            mine = [row for row in waiting if row.model == model.name]
            if mine:
                notes += measure_model(
                    model, rows_of(model), mine, results, settings, tell=tell, done=done
                )
    return notes


def _list(wanted: Sequence[Row], results: Results) -> None:
    for row in wanted:
        mark = "done" if results.done(row) else ""
        typer.echo(f"{mark:5}{row.key}  ({row.expected_seconds:.0f} s)")
    left = [row for row in wanted if not results.done(row)]
    minutes = sum(row.expected_seconds for row in left) / 60
    typer.echo(f"{len(wanted)} rows; {len(left)} are left, about {minutes:.0f} minutes")


def _write(figures: Path) -> None:
    if not read_csv(figures):
        return
    draw_plot(figures)
    write_table(figures)
    for goal in goals(read_csv(figures)):
        typer.echo(goal)


if __name__ == "__main__":
    try:
        typer.run(main)
    except LeanclipError as error:
        sys.exit(f"targets: {error}")

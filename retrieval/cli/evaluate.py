"""``leanclip evaluate``: recall@k of a model on captioned photos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.cli.options import JsonOption

if TYPE_CHECKING:
    from retrieval.corpora.pairs import CaptionedPhoto
    from retrieval.evaluate.recall import Ranking
    from retrieval.evaluate.report import ModelReport

_REASONS_SHOWN = 5


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="NAME|CHECKPOINT|BUNDLE|default", help="A listed model, or a folder."
        ),
    ],
    pairs: Annotated[
        Path,
        typer.Argument(
            metavar="PAIRS.jsonl",
            help='Lines of {"image": "folder/photo.jpg", "captions": ["...", ...]}.',
        ),
    ],
    as_json: JsonOption = False,
    latency: Annotated[
        bool, typer.Option("--latency", help="Also time one photo and one sentence.")
    ] = False,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Threads for embedding; timing always takes one."),
    ] = None,
) -> None:
    """Measure how well a model finds photos by their captions, and captions by their photos.

    Recall@k is the share of queries with a right answer among the first k, as CLIP_benchmark
    counts it: a sentence has one right photo, a photo has all its captions. Of equal scores,
    what is earlier in the file ranks first. Paths of photos are relative to the file.

    \b
    leanclip evaluate default dev.jsonl
    leanclip evaluate runs/student dev.jsonl --latency
    leanclip evaluate bundle dev.jsonl --json | jq '.text_to_image["recall@1"]'
    """
    from retrieval.corpora.pairs import read_pairs

    report = _evaluate(model, read_pairs(pairs), threads=threads, latency=latency)
    _warn_of_unreadable(report)
    if as_json:
        print(json.dumps(report.to_dict()))
    else:
        _show(report)


def _evaluate(
    model: str, pairs: list[CaptionedPhoto], *, threads: int | None, latency: bool
) -> ModelReport:
    from retrieval.cli.progress import counting_bar
    from retrieval.evaluate.report import evaluate_model

    total = len(pairs) + sum(len(pair.captions) for pair in pairs)
    with counting_bar("embedding", total) as advance:
        return evaluate_model(model, pairs, threads=threads, latency=latency, advance=advance)


def _warn_of_unreadable(report: ModelReport) -> None:
    from rich.console import Console

    if not report.unreadable:
        return
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    console.print(f"left out {len(report.unreadable)} photos that cannot be decoded:")
    for reason in report.unreadable[:_REASONS_SHOWN]:
        console.print(f"  {reason}")
    if len(report.unreadable) > _REASONS_SHOWN:
        console.print(f"  and {len(report.unreadable) - _REASONS_SHOWN} more")


def _show(report: ModelReport) -> None:
    from rich.console import Console
    from rich.table import Table

    metrics = report.metrics
    table = Table(title=f"{metrics.photos:,} photos, {metrics.captions:,} captions")
    table.add_column(report.name)
    for header in ("recall@1", "recall@5", "recall@10", "median rank"):
        table.add_column(header, justify="right")
    table.add_row("text to image", *_cells(metrics.text_to_image))
    table.add_row("image to text", *_cells(metrics.image_to_text))
    console = Console(soft_wrap=True)
    console.print(table)
    if report.size is not None:
        known = report.size.parameters
        count = "" if known is None else f"{known / 1e6:.2f} million parameters, "
        console.print(f"{count}{report.size.megabytes:.1f} MB", highlight=False)
    if report.latency is not None:
        photo, sentence = report.latency.photo, report.latency.sentence
        console.print(
            f"{photo.median_ms:.1f} ms a photo (90th percentile {photo.p90_ms:.1f}), "
            f"{sentence.median_ms:.1f} ms a sentence ({sentence.p90_ms:.1f}): "
            f"one thread, batch 1, {photo.runs} runs, {report.latency.machine}",
            highlight=False,
        )


def _cells(ranking: Ranking) -> list[str]:
    recalls = [f"{100 * value:.1f} %" for value in ranking.recall.values()]
    return [*recalls, f"{ranking.median_rank:g}"]

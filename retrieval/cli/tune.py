"""``leanclip tune``: search a large library within a budget of time and memory."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.catalog.location import library_home
from retrieval.cli.options import HomeOption, JsonOption, ModelOption
from retrieval.cli.photos import opened_library
from retrieval.spec.errors import QueryError

if TYPE_CHECKING:
    from retrieval.index.kinds import Kind
    from retrieval.index.store import Progress
    from retrieval.index.tuning import Trial
    from retrieval.search.tuning import Tuning


def tune(
    ms: Annotated[float, typer.Option(min=0.01, help="Longest search, 95th percentile.")] = 20.0,
    memory: Annotated[float, typer.Option(min=1, help="Most megabytes of the index.")] = 2_000.0,
    recall: Annotated[
        float, typer.Option(min=0, max=1, help="Least share of the exact top 10 to find.")
    ] = 0.95,
    kind: Annotated[
        list[str] | None, typer.Option(help="hnsw or ivfpq; by default both, in this order.")
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Search exactly again.")] = False,
    sentences: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What to search for, one a line.")
    ] = None,
    model: ModelOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search a large library within a budget of time and memory.

    Exact search compares every photo, which is quick enough for some hundred thousand. Beyond
    what you allow, a graph (hnsw: fast, as large as exact) or cells of quantised vectors
    (ivfpq: a twelfth of the memory) is built beside it and measured: how many of the exact
    best ten it finds, and how fast. The first that keeps within the budget is used from then
    on. Photos added later are found at once; tune again when they have become many.

    \b
    leanclip tune
    leanclip tune --ms 5 --recall 0.98
    leanclip tune --memory 200 --kind ivfpq
    leanclip tune --exact
    """
    from retrieval.cli.progress import StageProgress
    from retrieval.corpora.sentences import read_sentences
    from retrieval.index.tuning import Budget

    kinds = _kinds(kind)
    asked = None if sentences is None else read_sentences(sentences)
    budget = Budget(milliseconds=ms, bytes=memory * 1e6, recall=recall)
    with opened_library(library_home(home), model) as library:
        if exact:
            library.search_exactly()
            print("searching exactly from now on")
            return
        with StageProgress() as bar:

            def building(kind: Kind) -> Progress:
                bar.begin(f"building {kind}", total=0)
                return bar.advance

            tuning = library.tune(budget, kinds=kinds, sentences=asked, progress=building)
    if as_json:
        print(json.dumps(_as_json(tuning)))
    else:
        _print(tuning)
    if tuning.chosen is None:
        raise typer.Exit(1)


def _kinds(names: list[str] | None) -> list[Kind]:
    from retrieval.index.kinds import KINDS

    chosen: list[Kind] = [kind for kind in KINDS if names is None or kind in names]
    unknown = set(names or ()).difference(KINDS)
    if unknown:
        raise QueryError(f"--kind: there is no index {min(unknown)!r}; choose {', '.join(KINDS)}")
    return chosen


def _print(tuning: Tuning) -> None:
    from rich.console import Console
    from rich.table import Table

    from retrieval.index.tuning import TOP

    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("", "index", "effort", f"recall@{TOP}", "p50 ms", "p95 ms", "MB", "built in s"):
        table.add_column(heading, justify="left" if heading in ("", "index") else "right")
    for trial in tuning.trials:
        mark = "->" if trial is tuning.chosen else ""
        table.add_row(mark, *_cells(trial))
    Console().print(table)
    if tuning.chosen is None:
        print("nothing kept within the budget; allow more --ms or --memory, or less --recall")
    elif tuning.chosen.kind == "exact":
        print("exact search keeps within the budget and is used")
    else:
        print(f"{tuning.chosen.kind} is used from now on; leanclip tune --exact takes it back")


def _cells(trial: Trial) -> list[str]:
    return [
        trial.kind,
        str(trial.effort or ""),
        f"{trial.recall:.3f}",
        f"{trial.p50_ms:.2f}",
        f"{trial.p95_ms:.2f}",
        f"{trial.bytes / 1e6:.1f}",
        f"{trial.build_seconds:.1f}" if trial.build_seconds else "",
    ]


def _as_json(tuning: Tuning) -> dict[str, object]:
    return {
        "trials": [asdict(trial) for trial in tuning.trials],
        "chosen": None if tuning.chosen is None else asdict(tuning.chosen),
    }

"""``leanclip search``: find photos by a sentence or by a photo."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from retrieval.catalog.location import library_home
from retrieval.cli.photos import (
    HomeOption,
    JsonOption,
    ModelOption,
    index_with_progress,
    note,
    opened_library,
    shown,
)
from retrieval.search.hit import Hit
from retrieval.search.library import Library
from retrieval.search.query.parse import ignored_end, parse_query
from retrieval.search.query.parts import Sentence
from retrieval.search.scan import resolved_folder
from retrieval.search.sheet import Section, sheet_kind, write_contact_sheet
from retrieval.spec.errors import CatalogError


def search(
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help="What the photo shows, or the path of a photo.")
    ],
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="Folder to search; else everything indexed."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many photos to show.")] = 10,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write a contact sheet, .html or .png."),
    ] = None,
    no_indexing: Annotated[
        bool, typer.Option("--no-indexing", help="Search DIR as it was last indexed.")
    ] = False,
    model: ModelOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find photos by a sentence or by a photo, best first.

    With DIR, what is new there is indexed first, so one command does it all. A score is
    the cosine between query and photo: it orders the photos of one query, and says little
    by itself. Through a pipe, each line is a score, a tab and a path.

    \b
    leanclip search "two dogs running in snow" ~/Pictures
    leanclip search "a birthday cake" --top 3
    leanclip search ~/Pictures/sunset.jpg --sheet similar.html
    """  # noqa: D301  (click ends re-flowing at a backspace character)
    asked = parse_query(query)
    if sheet is not None:
        sheet_kind(sheet)
    if folder is not None:
        resolved_folder(folder)
    with opened_library(library_home(home), model) as library:
        if folder is not None and not no_indexing:
            _bring_up_to_date(library, folder)
        hits = library.search(asked, top=top, folder=folder)
        if not hits and folder is not None:
            raise CatalogError(f"no photo in {shown(folder)} is indexed; {_advice(no_indexing)}")
        if any(
            isinstance(term.content, Sentence)
            and ignored_end(term.content.text, library.encoder.tokenizer)
            for term in asked.terms
        ):
            note("the sentence is longer than the model reads; its end was ignored")
        name = library.encoder.name
    if sheet is not None:
        write_contact_sheet(sheet, [Section(query, hits)])
        note(f"contact sheet: {shown(sheet)}")
    if as_json:
        print(json.dumps({"query": query, "model": name, "results": _as_json(hits)}))
    else:
        _print_hits(hits)


def _bring_up_to_date(library: Library, folder: Path) -> None:
    report = index_with_progress(library, folder)
    fresh = report.added + report.changed
    if fresh:
        skipped = f", {len(report.skipped):,} skipped (see leanclip status)"
        note(
            f"{fresh:,} new photos indexed in {report.seconds:.1f} s"
            + (skipped if report.skipped else "")
        )


def _advice(no_indexing: bool) -> str:
    if no_indexing:
        return "leave out --no-indexing"
    return "none of its files can be read, leanclip status says why"


def _as_json(hits: Sequence[Hit]) -> list[dict[str, object]]:
    return [
        {"path": str(hit.path), "score": round(hit.score, 6), "id": hit.photo_id} for hit in hits
    ]


def _print_hits(hits: Sequence[Hit]) -> None:
    if not sys.stdout.isatty():
        for hit in hits:
            print(f"{hit.score:.4f}\t{shown(hit.path)}")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("score", justify="right", style="cyan")
    table.add_column("photo", overflow="fold")
    for hit in hits:
        link = f"link {hit.path.as_uri()}"
        table.add_row(f"{hit.score:.3f}", Text(shown(hit.path), style=link))
    Console().print(table)

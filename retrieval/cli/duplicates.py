"""``leanclip duplicates``: photos that are there more than once."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.catalog.location import library_home
from retrieval.cli.options import HomeOption, JsonOption, ModelOption
from retrieval.cli.photos import note, searched_library, shown
from retrieval.cli.results import NoIndexingOption, SheetOption, hit_as_json
from retrieval.search.sheet import Section, sheet_kind, write_contact_sheet
from retrieval.spec.defaults import NEAR_DUPLICATE

if TYPE_CHECKING:
    from retrieval.search.duplicates import Duplicates
    from retrieval.search.hit import Hits


def duplicates(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="Folder to look at; else everything indexed."),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(
            min=0.01,
            max=1,
            help="Cosine from which photos are nearly the same; measured for the default model.",
        ),
    ] = NEAR_DUPLICATE,
    sheet: SheetOption = None,
    no_indexing: NoIndexingOption = False,
    model: ModelOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find photos that are there more than once: exact copies, and near ones apart from them.

    Exact copies are files with the same content. Near duplicates look the same to the model:
    saved again, made smaller, slightly cropped, or taken in a burst; look before you delete.
    In each group the photo with the most pixels comes first. Nothing is deleted or moved.
    Through a pipe, each line is exact or near, the number of the group, a cosine and a path.

    \b
    leanclip duplicates ~/Pictures
    leanclip duplicates --sheet twice.html
    leanclip duplicates --threshold 0.95 --json
    """
    if sheet is not None:
        sheet_kind(sheet)
    with searched_library(folder, library_home(home), model, no_indexing=no_indexing) as library:
        with _bar() as advance:
            found = library.duplicates(folder, threshold=threshold, advance=advance)
        name = library.encoder.name
    if sheet is not None:
        write_contact_sheet(sheet, _sections(found))
        note(f"contact sheet: {shown(sheet)}")
    if as_json:
        print(json.dumps({"model": name, "threshold": threshold, **_as_json(found)}))
    elif sys.stdout.isatty():
        _print_groups(found)
    else:
        for kind, number, group in _numbered(found):
            for hit in group:
                print(f"{kind}\t{number}\t{hit.score:.4f}\t{shown(hit.path)}")


def _numbered(found: Duplicates) -> Iterator[tuple[str, int, Hits]]:
    for kind, groups in (("exact", found.exact), ("near", found.near)):
        for number, group in enumerate(groups, start=1):
            yield kind, number, group


def _print_groups(found: Duplicates) -> None:
    if not found.exact and not found.near:
        print("no photo is there twice")
    for kind, number, group in _numbered(found):
        print(f"{kind} {number}")
        for hit in group:
            print(f"  {hit.score:.3f}  {shown(hit.path)}")


def _sections(found: Duplicates) -> list[Section]:
    titles = {"exact": "The same file", "near": "Nearly the same"}
    return [
        Section(f"{titles[kind]} ({number})", group) for kind, number, group in _numbered(found)
    ]


def _as_json(found: Duplicates) -> dict[str, list[list[dict[str, object]]]]:
    def plain(groups: Sequence[Hits]) -> list[list[dict[str, object]]]:
        return [[hit_as_json(hit) for hit in group] for group in groups]

    return {"exact": plain(found.exact), "near": plain(found.near)}


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None] | None]:
    if not sys.stderr.isatty():
        yield None
        return
    from retrieval.cli.progress import progress_bar

    with progress_bar("comparing") as advance:
        yield advance

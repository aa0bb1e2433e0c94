"""``leanclip search``: find photos by what they show, look like, and are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.catalog.location import library_home
from retrieval.cli.options import HomeOption, JsonOption, ModelOption
from retrieval.cli.photos import note, searched_library, shown
from retrieval.cli.results import (
    CopyOption,
    CutOption,
    LinkOption,
    NoIndexingOption,
    NulOption,
    OpenOption,
    Output,
    SheetOption,
    ThumbnailsOption,
    TopOption,
)
from retrieval.cli.terminal.ways import Way
from retrieval.spec.errors import CatalogError

if TYPE_CHECKING:
    from retrieval.search.library import Library
    from retrieval.search.query.parts import Query


def search(
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help="What the photo shows, or a photo; see above.")
    ] = "",
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="Folder to search; else everything indexed."),
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option("--add", "-a", metavar="TERM", help="As ` + TERM` in the query."),
    ] = None,
    subtract: Annotated[
        list[str] | None,
        typer.Option("--subtract", "-s", metavar="TERM", help="As ` - TERM` in the query."),
    ] = None,
    top: TopOption = 10,
    cut: CutOption = None,
    thumbnails: ThumbnailsOption = Way.NONE,
    sheet: SheetOption = None,
    open_sheet: OpenOption = False,
    copy_to: CopyOption = None,
    link_to: LinkOption = None,
    no_indexing: NoIndexingOption = False,
    model: ModelOption = None,
    home: HomeOption = None,
    print0: NulOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find photos by what they show, by a photo, by date, place and folder; best first.

    With DIR, what is new there is indexed first, so one command does it all. A score is
    the cosine between query and photo: it orders the photos of one query, and says little
    by itself. Through a pipe, each line is a score, a tab and a path.

    \b
    leanclip search "two dogs running in snow" ~/Pictures
    leanclip search ~/Pictures/sunset.jpg --sheet similar.html

    Terms are added and taken away, between spaces; a number before a colon is a weight.

    \b
    leanclip search "beach + sunset.jpg - people"
    leanclip search "2:horse + 0.5:a red barn - fence" --top 20
    leanclip search "a horse" --add field.jpg --subtract 0.5:people

    Filters stand anywhere in the query; alone, they list the newest photos first.

    \b
    leanclip search "dogs after:2023-05 before:2024 in:holiday"
    leanclip search "type:png camera:iphone near:59.91,10.75,25"
    leanclip search "a birthday cake type:video"
    leanclip search "a lake near:lake.jpg" --copy-to ~/lakes

    Dates are 2023, 2023-05 or 2023-05-17; after: begins with that day, before: ends the day
    before it. in: takes a folder\'s name, or a path that begins with / . or ~. near: takes a
    latitude and a longitude, a photo, or a city (with leanclip[places]), and kilometres.
    In double quotes everything is text: leanclip search \'"red - blue" - "after:2020"\'
    """
    from retrieval.search.query.parse import join_terms, parse_query
    from retrieval.search.sheet import Section

    text = join_terms(query, add or (), subtract or ())
    asked = parse_query(text)
    place = library_home(home)
    output = Output(place, as_json, print0, thumbnails, sheet, open_sheet, copy_to, link_to)
    output.check()
    with searched_library(folder, place, model, no_indexing=no_indexing) as library:
        hits = library.search(asked, top=top, folder=folder, cut=cut)
        if not hits:
            _explain_nothing(library, folder, no_indexing)
        _note_ignored_end(asked, library)
        name = library.encoder.name
    output.give([Section(text, hits)], {"query": text, "model": name})


def _explain_nothing(library: Library, folder: Path | None, no_indexing: bool) -> None:
    if folder is None or library.count(folder):
        note("no photo fulfils the filters of the query")
        return
    advice = "none of its files can be read, leanclip status says why"
    raise CatalogError(
        f"no photo in {shown(folder)} is indexed; "
        + ("leave out --no-indexing" if no_indexing else advice)
    )


def _note_ignored_end(asked: Query, library: Library) -> None:
    from retrieval.search.query.parse import ignored_end
    from retrieval.search.query.parts import Sentence

    sentences = [t.content.text for t in asked.terms if isinstance(t.content, Sentence)]
    if any(ignored_end(sentence, library.encoder.tokenizer) for sentence in sentences):
        note("the sentence is longer than the model reads; its end was ignored")

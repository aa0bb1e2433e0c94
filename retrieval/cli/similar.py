"""``leanclip similar``: photos that look like one."""

from pathlib import Path
from typing import Annotated

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


def similar(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="Indexed or not.")],
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="Folder to search; else everything indexed."),
    ] = None,
    filter: Annotated[
        str,
        typer.Option(metavar="FILTERS", help="Only photos that fulfil them; see leanclip search."),
    ] = "",
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
    """Find photos that look like one, without the photo itself and its copies.

    Filters and output are those of leanclip search.

    \b
    leanclip similar ~/Pictures/sunset.jpg
    leanclip similar film.mp4 --thumbnails auto
    leanclip similar photo.jpg --filter "after:2023 in:holiday"
    leanclip similar poster.png ~/Pictures --cut 0.8 --print0 | xargs -0 ls -l
    """
    from retrieval.search.filtering import parse_filter
    from retrieval.search.sheet import Section

    wanted = parse_filter(filter)
    place = library_home(home)
    output = Output(place, as_json, print0, thumbnails, sheet, open_sheet, copy_to, link_to)
    output.check()
    with searched_library(folder, place, model, no_indexing=no_indexing) as library:
        hits = library.similar(photo, top=top, folder=folder, filter=wanted, cut=cut)
        name = library.encoder.name
    if not hits:
        note("no other photo fulfils the filter" if wanted else "no other photo is indexed there")
    about = {"photo": str(photo), "filter": filter, "model": name}
    output.give([Section(f"like {shown(photo)} {filter}".rstrip(), hits)], about)

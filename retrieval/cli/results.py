"""How found photos leave a command: as a table, for a pipe, as a page, into a folder."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from retrieval.cli.photos import note, shown
from retrieval.cli.terminal.ways import Way, way_of
from retrieval.search.hit import Hit
from retrieval.search.sheet import Section, sheet_kind, write_contact_sheet
from retrieval.search.times import clock, day
from retrieval.spec.errors import QueryError

TopOption = Annotated[int, typer.Option(min=1, help="How many photos to show.")]
CutOption = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, help="Leave out photos below this share of the way to the best score."
    ),
]
SheetOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Also write a contact sheet, .html, .png or .jpg."),
]
NulOption = Annotated[
    bool, typer.Option("--print0", help="Print paths only, each with a NUL behind it.")
]
ThumbnailsOption = Annotated[Way, typer.Option(help="Show small pictures in the terminal.")]
OpenOption = Annotated[
    bool, typer.Option("--open", help="Open the contact sheet in the browser or viewer.")
]
CopyOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Copy the photos; nothing is overwritten.")
]
LinkOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Link to the photos; nothing is overwritten.")
]
NoIndexingOption = Annotated[
    bool, typer.Option("--no-indexing", help="Search DIR as it was last indexed.")
]

_PAGE = "found.html"


@dataclass(frozen=True, slots=True)
class Output:
    """What a user wants to have of the photos that are found."""

    home: Path
    """Where the contact sheet goes that is opened and has no name of its own."""
    as_json: bool = False
    print0: bool = False
    thumbnails: Way = Way.NONE
    sheet: Path | None = None
    open_sheet: bool = False
    copy_to: Path | None = None
    link_to: Path | None = None

    def check(self) -> None:
        """Refuse what cannot be done, before anything is.

        Raises:
            QueryError: Options that exclude each other, or a sheet of an unknown kind.
        """
        if self.as_json and self.print0:
            raise QueryError("--json and --print0 exclude each other; choose one")
        if self.copy_to is not None and self.link_to is not None:
            raise QueryError("--copy-to and --link-to exclude each other; choose one")
        if self.sheet is not None:
            sheet_kind(self.sheet)

    def give(self, sections: Sequence[Section], about: dict[str, Any]) -> None:
        """Show photos, and write, open, copy or link them as wanted.

        Args:
            sections: What was found, by question.
            about: What JSON says beside the results.

        Raises:
            OSError: A file cannot be written.
        """
        hits = [hit for section in sections for hit in section.hits]
        self._write_sheet(sections)
        self._place([hit.path for hit in hits])
        if self.as_json:
            print(json.dumps({**about, "results": [hit_as_json(hit) for hit in hits]}))
        elif self.print0:
            sys.stdout.flush()
            sys.stdout.buffer.write(b"".join(os.fsencode(hit.path) + b"\0" for hit in hits))
            sys.stdout.buffer.flush()
        else:
            print_hits(hits, self.thumbnails)

    def _write_sheet(self, sections: Sequence[Section]) -> None:
        sheet = self.sheet or (self.home / _PAGE if self.open_sheet else None)
        if sheet is None:
            return
        write_contact_sheet(sheet, sections)
        note(f"contact sheet: {shown(sheet)}")
        if self.open_sheet and typer.launch(str(sheet.absolute())) != 0:
            note("no program here opens it; open the file yourself")

    def _place(self, photos: Sequence[Path]) -> None:
        folder = self.copy_to or self.link_to
        if folder is None:
            return
        from retrieval.search.placing import copy_photos, link_photos

        folder = folder.expanduser()
        placed = (link_photos if self.copy_to is None else copy_photos)(photos, folder)
        verb = "linked" if self.copy_to is None else "copied"
        before = len(placed.already_there)
        there = f", {before:,} were there already" if before else ""
        note(f"{len(placed.new):,} photos {verb} to {shown(folder)}{there}")


def hit_as_json(hit: Hit) -> dict[str, object]:
    """A found photo with plain values."""
    return {
        "path": str(hit.path),
        "score": None if hit.score is None else round(hit.score, 6),
        "id": hit.photo_id,
        "moment_ms": hit.moment_ms,
        "taken_at": hit.taken_at,
    }


def print_hits(hits: Sequence[Hit], thumbnails: Way = Way.NONE) -> None:
    """Print photos for a person, or line by line for a pipe.

    Args:
        hits: The photos.
        thumbnails: How to show them; ``auto`` shows pictures in terminals only.
    """
    if thumbnails is Way.AUTO:
        thumbnails = way_of(os.environ) if sys.stdout.isatty() else Way.NONE
    if thumbnails is not Way.NONE:
        _print_pictures(hits, thumbnails)
    elif sys.stdout.isatty():
        _print_table(hits)
    else:
        for hit in hits:
            print("\t".join(_fields(hit, digits=4)))


def _fields(hit: Hit, digits: int) -> list[str]:
    value = f"{hit.score:.{digits}f}" if hit.score is not None else day(hit.taken_at or 0)
    moment = [] if hit.moment_ms is None else [clock(hit.moment_ms)]
    return [value, shown(hit.path), *moment]


def _print_pictures(hits: Sequence[Hit], way: Way) -> None:
    from retrieval.cli.terminal.pictures import PIXELS, drawn
    from retrieval.search.sheet.thumbnail import thumbnail

    for hit in hits:
        picture = thumbnail(hit, PIXELS)
        print("" if picture is None else drawn(picture, way), end="")
        print("  ".join(_fields(hit, digits=3)), end="\n\n", flush=True)


def _print_table(hits: Sequence[Hit]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    dated = any(hit.score is None for hit in hits)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("date" if dated else "score", justify="right", style="cyan")
    table.add_column("photo", overflow="fold")
    if any(hit.moment_ms is not None for hit in hits):
        table.add_column("at", style="dim")
    for hit in hits:
        value, path, *moment = _fields(hit, digits=3)
        table.add_row(value, Text(path, style=f"link {hit.path.as_uri()}"), *moment)
    Console().print(table)

"""Contact sheets: results of one or several queries on one page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from retrieval.search.hit import Hit
from retrieval.spec.errors import QueryError
from retrieval.spec.files import replacing


@dataclass(frozen=True, slots=True)
class Section:
    """One query and what it found, best first."""

    title: str
    hits: Sequence[Hit]


def sheet_kind(path: Path) -> Literal["html", "png"]:
    """What a contact sheet of this name will be.

    Raises:
        QueryError: The name ends in neither .html nor .png.
    """
    match path.suffix.lower():
        case ".html" | ".htm":
            return "html"
        case ".png":
            return "png"
    raise QueryError(f"{path}: a contact sheet's name must end in .html or .png")


def write_contact_sheet(path: Path, sections: Sequence[Section]) -> None:
    """Write a contact sheet, whole or not at all.

    Args:
        path: ``.html`` gives one page that holds its thumbnails and needs no network;
            ``.png`` gives a picture, whose captions are limited to Latin letters.
        sections: The queries, in the order of the page.

    Raises:
        QueryError: The name ends in neither.
        OSError: The file cannot be written.
    """
    kind = sheet_kind(path)
    with replacing(path) as temporary:
        if kind == "png":
            from retrieval.search.sheet.png import draw_sheet

            draw_sheet(sections).save(temporary, format="PNG", optimize=True)
        else:
            from retrieval.search.sheet.html import render_sheet

            temporary.write_text(render_sheet(sections), "utf-8")

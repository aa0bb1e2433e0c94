"""Contact sheets: results of one or several queries on one page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from retrieval.search.hit import Hit
from retrieval.search.sheet.layout import LARGE, SMALL
from retrieval.spec.errors import QueryError
from retrieval.spec.files import replacing


@dataclass(frozen=True, slots=True)
class Section:
    """One query and what it found, best first."""

    title: str
    hits: Sequence[Hit]


def sheet_kind(path: Path) -> Literal["html", "png", "jpeg"]:
    """What a contact sheet of this name will be.

    Raises:
        QueryError: The name ends in none of .html, .png and .jpg.
    """
    match path.suffix.lower():
        case ".html" | ".htm":
            return "html"
        case ".png":
            return "png"
        case ".jpg" | ".jpeg":
            return "jpeg"
    raise QueryError(f"{path}: a contact sheet's name must end in .html, .png or .jpg")


def write_contact_sheet(path: Path, sections: Sequence[Section], *, small: bool = False) -> None:
    """Write a contact sheet, whole or not at all.

    Args:
        path: ``.html`` gives one page that holds its thumbnails and needs no network;
            ``.png`` and ``.jpg`` give a picture, whose captions are limited to Latin letters.
        sections: The queries, in the order of the page.
        small: Draw a picture with photos of about a thumb's size, for very many queries.

    Raises:
        QueryError: The name ends in none of these, or there are more photos than a JPEG
            picture has room for.
        OSError: The file cannot be written.
    """
    kind = sheet_kind(path)
    with replacing(path) as temporary:
        if kind == "html":
            from retrieval.search.sheet.html import render_sheet

            temporary.write_text(render_sheet(sections), "utf-8")
        else:
            from retrieval.search.sheet.picture import draw_sheet, save_sheet

            measures = SMALL if small else LARGE
            save_sheet(draw_sheet(sections, measures), temporary, kind, measures.quality)

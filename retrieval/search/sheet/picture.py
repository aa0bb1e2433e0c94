"""A contact sheet as one picture."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from PIL import Image, ImageDraw, ImageFont

from retrieval.search.hit import Hit
from retrieval.search.sheet.captions import shares_of_best, title_of, value_of
from retrieval.search.sheet.layout import BLANK_ASPECT, Measures, balanced_rows
from retrieval.search.sheet.thumbnail import thumbnail
from retrieval.spec.errors import QueryError

if TYPE_CHECKING:
    from retrieval.search.sheet import Section

# How round corners are, beside the height of the highest photo.
_RADIUS = 1 / 40
# The format has two bytes for it, of which libjpeg leaves some out.
_HIGHEST_JPEG = 65_500

_PAGE = "#f7f6f3"
_INK = "#1d1c1a"
_SOFT = "#77736b"
_LINE = "#e2dfd8"
_MARK = "#b4532a"


@dataclass(frozen=True, slots=True)
class _Cell:
    hit: Hit
    picture: Image.Image
    share: float | None
    """Length of its score's bar beside the best one's."""


def draw_sheet(sections: Sequence["Section"], measures: Measures) -> Image.Image:
    """The sheet, as wide as its measures say and as high as its rows ask for."""
    laid_out = [(section, _rows(section, measures)) for section in sections]
    margin = measures.margin
    height = margin + sum(_height_of(rows, measures) + margin for _, rows in laid_out)
    page = Image.new("RGB", (measures.width, height), _PAGE)
    top = margin
    for section, rows in laid_out:
        _draw_section(page, section, rows, top, measures)
        top += _height_of(rows, measures) + margin
    return page


def save_sheet(sheet: Image.Image, path: Path, kind: Literal["png", "jpeg"], quality: int) -> None:
    """Write a sheet as a file of either kind; only JPEG has a quality.

    Raises:
        QueryError: It is higher than a JPEG file can be.
        OSError: It cannot be written.
    """
    if kind == "png":
        sheet.save(path, format="PNG", optimize=True)
        return
    if sheet.height > _HIGHEST_JPEG:
        raise QueryError(
            f"a contact sheet of {sheet.height:,} pixels' height is too much for JPEG: "
            "name it .png or .html, or ask for fewer photos"
        )
    sheet.save(path, format="JPEG", quality=quality, optimize=True, progressive=True)


def _height_of(rows: list[list[_Cell]], measures: Measures) -> int:
    if not rows:
        return measures.title + measures.caption
    below = measures.caption + measures.gap
    return measures.title + sum(row[0].picture.height + below for row in rows) - measures.gap


def _draw_section(
    page: Image.Image, section: "Section", rows: list[list[_Cell]], top: int, measures: Measures
) -> None:
    draw = ImageDraw.Draw(page)
    font = _font(measures.title_font)
    left = measures.margin
    draw.text((left, top), _fitted(draw, section.title, font, page.width - 2 * left), _INK, font)
    top += measures.title
    if not rows:
        draw.text((left, top), "Nothing was found.", _SOFT, _font(measures.caption_font))
    for row in rows:
        left = measures.margin
        for cell in row:
            _draw_cell(page, cell, left, top, measures)
            left += cell.picture.width + measures.gap
        top += row[0].picture.height + measures.caption + measures.gap


def _draw_cell(page: Image.Image, cell: _Cell, left: int, top: int, measures: Measures) -> None:
    draw = ImageDraw.Draw(page)
    font = _font(measures.caption_font)
    width, height = cell.picture.size
    page.paste(cell.picture, (left, top), _rounded(cell.picture.size, measures))
    score = value_of(cell.hit)
    score_width = int(draw.textlength(score, font))
    name = _fitted(draw, title_of(cell.hit), font, width - score_width - measures.gap // 2)
    line = top + height + measures.gap // 2
    draw.text((left, line), name, _SOFT, font)
    draw.text((left + width - score_width, line), score, _INK, font)
    if cell.share is None:
        return
    bar = top + height + measures.caption - 7
    draw.rectangle((left, bar, left + width - 1, bar + 2), _LINE)
    filled = round(cell.share * width)
    if filled:
        draw.rectangle((left, bar, left + filled - 1, bar + 2), _MARK)


def _rows(section: "Section", measures: Measures) -> list[list[_Cell]]:
    """The section's photos in rows that fill the page's width to the pixel."""
    highest = measures.highest
    cells = [
        _Cell(hit, thumbnail(hit, highest) or _blank(measures), share)
        for hit, share in zip(section.hits, shares_of_best(section.hits), strict=True)
    ]
    rows = []
    aspects = [cell.picture.width / cell.picture.height for cell in cells]
    for count in balanced_rows(aspects, measures.room):
        rows.append(_justified(cells[:count], measures))
        del cells[:count]
    return rows


def _justified(row: list[_Cell], measures: Measures) -> list[_Cell]:
    room = measures.width - 2 * measures.margin - measures.gap * (len(row) - 1)
    scale = min(1.0, room / sum(cell.picture.width for cell in row))
    height = round(scale * measures.highest)
    left, covered = 0, 0.0
    resized = []
    for cell in row:
        # Rounded ends rather than rounded widths, so that errors do not add up.
        covered += cell.picture.width * scale
        size = (max(1, round(covered) - left), height)
        left = round(covered)
        picture = cell.picture.resize(size, Image.Resampling.LANCZOS)
        resized.append(replace(cell, picture=picture))
    return resized


def _blank(measures: Measures) -> Image.Image:
    size = (round(BLANK_ASPECT * measures.highest), measures.highest)
    blank = Image.new("RGB", size, _LINE)
    middle = (blank.width // 2, blank.height // 2)
    font = _font(measures.caption_font)
    ImageDraw.Draw(blank).text(middle, "can no longer be read", _SOFT, font, anchor="mm")
    return blank


def _rounded(size: tuple[int, int], measures: Measures) -> Image.Image:
    # Drawn larger and shrunk, because Pillow's own corners are not smooth.
    scale = 4
    mask = Image.new("L", (size[0] * scale, size[1] * scale), 0)
    box = (0, 0, mask.width - 1, mask.height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(box, _RADIUS * measures.highest * scale, 255)
    return mask.resize(size, Image.Resampling.LANCZOS)


def _fitted(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, room: int) -> str:
    if draw.textlength(text, font) <= room:
        return text
    while text and draw.textlength(text + "…", font) > room:
        text = text[:-1]
    return text.rstrip() + "…"


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font

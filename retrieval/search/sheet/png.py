"""A contact sheet as one picture."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from retrieval.search.hit import Hit
from retrieval.search.sheet.captions import shares_of_best, title_of, value_of
from retrieval.search.sheet.layout import BLANK_ASPECT, balanced_rows
from retrieval.search.sheet.thumbnail import thumbnail

if TYPE_CHECKING:
    from retrieval.search.sheet import Section

_WIDTH = 1600
_MARGIN = 64
_GAP = 20
_HIGHEST = 400
_CAPTION = 46
_TITLE = 78
_RADIUS = 10

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


def draw_sheet(sections: Sequence["Section"]) -> Image.Image:
    """The sheet, 1,600 pixels wide and as high as its rows ask for."""
    laid_out = [(section, _rows(section)) for section in sections]
    height = _MARGIN + sum(_height_of(rows) + _MARGIN for _, rows in laid_out)
    page = Image.new("RGB", (_WIDTH, height), _PAGE)
    top = _MARGIN
    for section, rows in laid_out:
        _draw_section(page, section, rows, top)
        top += _height_of(rows) + _MARGIN
    return page


def _height_of(rows: list[list[_Cell]]) -> int:
    if not rows:
        return _TITLE + _CAPTION
    return _TITLE + sum(row[0].picture.height + _CAPTION + _GAP for row in rows) - _GAP


def _draw_section(page: Image.Image, section: "Section", rows: list[list[_Cell]], top: int) -> None:
    draw = ImageDraw.Draw(page)
    title = _fitted(draw, section.title, _font(38), _WIDTH - 2 * _MARGIN)
    draw.text((_MARGIN, top), title, _INK, _font(38))
    top += _TITLE
    if not rows:
        draw.text((_MARGIN, top), "Nothing was found.", _SOFT, _font(20))
    for row in rows:
        left = _MARGIN
        for cell in row:
            _draw_cell(page, cell, left, top)
            left += cell.picture.width + _GAP
        top += row[0].picture.height + _CAPTION + _GAP


def _draw_cell(page: Image.Image, cell: _Cell, left: int, top: int) -> None:
    draw = ImageDraw.Draw(page)
    width, height = cell.picture.size
    page.paste(cell.picture, (left, top), _rounded(cell.picture.size))
    score = value_of(cell.hit)
    score_width = int(draw.textlength(score, _font(18)))
    name = _fitted(draw, title_of(cell.hit), _font(18), width - score_width - _GAP // 2)
    line = top + height + 10
    draw.text((left, line), name, _SOFT, _font(18))
    draw.text((left + width - score_width, line), score, _INK, _font(18))
    if cell.share is None:
        return
    bar = line + 29
    draw.rectangle((left, bar, left + width - 1, bar + 2), _LINE)
    filled = round(cell.share * width)
    if filled:
        draw.rectangle((left, bar, left + filled - 1, bar + 2), _MARK)


def _rows(section: "Section") -> list[list[_Cell]]:
    """The section's photos in rows that fill the page's width to the pixel."""
    cells = [
        _Cell(hit, thumbnail(hit, _HIGHEST) or _blank(), share)
        for hit, share in zip(section.hits, shares_of_best(section.hits), strict=True)
    ]
    rows = []
    for count in balanced_rows([c.picture.width / c.picture.height for c in cells]):
        rows.append(_justified(cells[:count]))
        del cells[:count]
    return rows


def _justified(row: list[_Cell]) -> list[_Cell]:
    room = _WIDTH - 2 * _MARGIN - _GAP * (len(row) - 1)
    scale = min(1.0, room / sum(cell.picture.width for cell in row))
    height = round(scale * _HIGHEST)
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


def _blank() -> Image.Image:
    blank = Image.new("RGB", (round(BLANK_ASPECT * _HIGHEST), _HIGHEST), _LINE)
    middle = (blank.width // 2, blank.height // 2)
    ImageDraw.Draw(blank).text(middle, "can no longer be read", _SOFT, _font(24), anchor="mm")
    return blank


def _rounded(size: tuple[int, int]) -> Image.Image:
    # Drawn larger and shrunk, because Pillow's own corners are not smooth.
    scale = 4
    mask = Image.new("L", (size[0] * scale, size[1] * scale), 0)
    box = (0, 0, mask.width - 1, mask.height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(box, _RADIUS * scale, 255)
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

"""A contact sheet as one picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from retrieval.search.hit import Hit
from retrieval.search.sheet.thumbnail import file_name, thumbnail

if TYPE_CHECKING:
    from retrieval.search.sheet import Section

_WIDTH = 1600
_MARGIN = 64
_GAP = 20
_HEIGHT = 250
_CAPTION = 46
_TITLE = 78
_RADIUS = 10

_PAGE = "#f7f6f3"
_INK = "#1d1c1a"
_SOFT = "#77736b"
_BLANK = "#e2dfd8"
_MARK = "#b4532a"


@dataclass(slots=True)
class _Cell:
    hit: Hit
    picture: Image.Image


def draw_sheet(sections: Sequence["Section"]) -> Image.Image:
    """The sheet, 1,600 pixels wide and as high as its rows ask for."""
    laid_out = [(section, _rows(_cells(section))) for section in sections]
    rows = sum(max(1, len(rows)) for _, rows in laid_out)
    height = 2 * _MARGIN - _GAP + len(sections) * _TITLE + rows * (_HEIGHT + _CAPTION + _GAP)
    height += _MARGIN * max(0, len(sections) - 1)
    page = Image.new("RGB", (_WIDTH, height), _PAGE)
    top = _MARGIN
    for section, section_rows in laid_out:
        top = _draw_section(page, section, section_rows, top) + _MARGIN
    return page


def _draw_section(page: Image.Image, section: "Section", rows: list[list[_Cell]], top: int) -> int:
    draw = ImageDraw.Draw(page)
    title = _fitted(draw, section.title, _font(38), _WIDTH - 2 * _MARGIN)
    draw.text((_MARGIN, top), title, _INK, _font(38))
    top += _TITLE
    if not rows:
        draw.text((_MARGIN, top), "Nothing was found.", _SOFT, _font(20))
        return top + _HEIGHT + _CAPTION
    best = max(hit.score for hit in section.hits)
    for row in rows:
        left = _MARGIN
        for cell in row:
            _draw_cell(page, cell, left, top, best)
            left += cell.picture.width + _GAP
        top += _HEIGHT + _CAPTION + _GAP
    return top - _GAP


def _draw_cell(page: Image.Image, cell: _Cell, left: int, top: int, best: float) -> None:
    draw = ImageDraw.Draw(page)
    width, height = cell.picture.size
    page.paste(cell.picture, (left, top), _rounded(cell.picture.size))
    score = f"{cell.hit.score:.3f}"
    score_width = int(draw.textlength(score, _font(18)))
    name = _fitted(draw, file_name(cell.hit.path), _font(18), width - score_width - _GAP // 2)
    line = top + height + 10
    draw.text((left, line), name, _SOFT, _font(18))
    draw.text((left + width - score_width, line), score, _INK, _font(18))
    bar = line + 29
    draw.rectangle((left, bar, left + width - 1, bar + 2), _BLANK)
    share = max(0.0, cell.hit.score / best) if best > 0 else 0.0
    if share > 0:
        draw.rectangle((left, bar, left + max(1, round(share * width)) - 1, bar + 2), _MARK)


def _cells(section: "Section") -> list[_Cell]:
    blank = Image.new("RGB", (_HEIGHT * 3 // 2, _HEIGHT), _BLANK)
    return [_Cell(hit, thumbnail(hit.path, _HEIGHT) or blank) for hit in section.hits]


def _rows(cells: list[_Cell]) -> list[list[_Cell]]:
    """Break the cells into rows that fill the page's width to the pixel, but for the last."""
    room = _WIDTH - 2 * _MARGIN
    rows: list[list[_Cell]] = []
    row: list[_Cell] = []
    for cell in cells:
        row.append(cell)
        if sum(c.picture.width for c in row) + _GAP * (len(row) - 1) >= room:
            rows.append(_justified(row, room))
            row = []
    return [*rows, row] if row else rows


def _justified(row: list[_Cell], room: int) -> list[_Cell]:
    # The height of all rows stays the same; the sides of each photo give a little way.
    excess = sum(cell.picture.width for cell in row) + _GAP * (len(row) - 1) - room
    total = sum(cell.picture.width for cell in row)
    cropped = []
    for cell in row:
        cut = round(excess * cell.picture.width / total)
        excess, total = excess - cut, total - cell.picture.width
        left = cut // 2
        box = (left, 0, left + cell.picture.width - cut, cell.picture.height)
        cropped.append(_Cell(cell.hit, cell.picture.crop(box)))
    return cropped


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

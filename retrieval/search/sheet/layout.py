"""How photos of any shape share the rows of a contact sheet."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

BLANK_ASPECT = 1.5
"""Width over height of what stands in for a photo that can no longer be read."""


ROOM = 6.2
"""Sum of width over height that one row takes: six squares, or four photos of 3:2."""


@dataclass(frozen=True, slots=True)
class Measures:
    """How large everything on a sheet of one picture is, in pixels.

    Attributes:
        width: Of the sheet.
        margin: At its sides and between queries.
        gap: Between photos.
        highest: Photo; those of a full row are less high.
        title: Height of a query's line.
        title_font: Size of its letters.
        caption: Height of what stands below a photo.
        caption_font: Size of its letters.
        room: Sum of width over height that one row takes.
        quality: Of a JPEG file.
    """

    width: int
    margin: int
    gap: int
    highest: int
    title: int
    title_font: int
    caption: int
    caption_font: int
    room: float
    quality: int


LARGE = Measures(1600, 64, 20, 400, 78, 38, 46, 18, ROOM, 80)
"""To look at photos."""

SMALL = Measures(800, 20, 8, 80, 30, 17, 25, 11, 15.0, 65)
"""To look at many queries: six photos of any shape share a row."""


def balanced_rows(aspects: Sequence[float], room: float = ROOM) -> list[int]:
    """How many photos each row takes, so that all rows come out about equally high.

    Args:
        aspects: Width over height of each photo, in their order.
        room: Sum of them that one row takes.
    """
    total = sum(aspects)
    rows = min(len(aspects), math.ceil(total / room))
    counts = [0] * rows
    covered = 0.0
    for aspect in aspects:
        # The row in which the photo's middle lies when all are laid out in one long band.
        middle = (covered + aspect / 2) / total
        counts[min(rows - 1, int(middle * rows))] += 1
        covered += aspect
    return [count for count in counts if count]

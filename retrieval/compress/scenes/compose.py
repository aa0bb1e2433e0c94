"""Lay the things of a scene on a background so that its captions are true."""

import math
import random
from typing import NamedTuple

from PIL import Image

from retrieval.compress.scenes.scene import Group, Scene, Size
from retrieval.compress.scenes.sprites import SHADES, sprite

_DIAMETERS: dict[Size, tuple[float, float]] = {
    "small": (0.13, 0.16),
    "plain": (0.19, 0.225),
    "big": (0.31, 0.38),
}
"""Side of a thing as a share of the picture's; the ranges do not touch, so that a size in
a caption can be seen."""
_CONTAINER = (0.56, 0.66)
_GRIDS = {
    1: ((1, 1),),
    2: ((2, 1), (1, 2)),
    3: ((3, 1), (1, 3), (2, 2)),
    4: ((2, 2), (4, 1), (1, 4)),
}
_TILT = 12.0
"""Degrees that a thing may lean to either side."""


class Box(NamedTuple):
    """A part of the picture; shares of its side, from the upper left corner."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Share of the picture's width."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Share of the picture's height."""
        return self.bottom - self.top


_PLACES = {
    "top left": Box(0.0, 0.0, 0.48, 0.48),
    "top right": Box(0.52, 0.0, 1.0, 0.48),
    "bottom left": Box(0.0, 0.52, 0.48, 1.0),
    "bottom right": Box(0.52, 0.52, 1.0, 1.0),
    "middle": Box(0.25, 0.25, 0.75, 0.75),
}


class Placed(NamedTuple):
    """One thing on the picture: its group, its centre and its side, as shares."""

    group: Group
    x: float
    y: float
    side: float


def render(scene: Scene, background: Image.Image, rng: random.Random) -> Image.Image:
    """Draw ``scene`` over a square RGB ``background``, which is changed and returned."""
    for placed in arrange(scene, rng):
        _paste(background, placed, rng)
    return background


def arrange(scene: Scene, rng: random.Random) -> list[Placed]:
    """Where each thing goes; later ones lie over earlier ones."""
    if scene.arrangement == "inside":
        return _inside(scene, rng)
    placed = []
    for group, box in zip(scene.groups, _boxes(scene), strict=True):
        placed += _fill(group, box, rng)
    return placed


def _boxes(scene: Scene) -> tuple[Box, ...]:
    if scene.arrangement == "alone":
        return (_PLACES[scene.place],)
    if scene.arrangement == "beside":
        return Box(0.01, 0.06, 0.49, 0.94), Box(0.51, 0.06, 0.99, 0.94)
    if scene.arrangement == "stacked":
        return Box(0.06, 0.01, 0.94, 0.49), Box(0.06, 0.51, 0.94, 0.99)
    return tuple(Box(left, 0.3, left + 0.3, 0.7) for left in (0.01, 0.35, 0.69))


def _fill(group: Group, box: Box, rng: random.Random) -> list[Placed]:
    """Things of one group in a loose grid somewhere in ``box``."""
    side = rng.uniform(*_DIAMETERS[group.size])
    fitting = [
        (columns, rows)
        for columns, rows in _GRIDS[group.count]
        if columns * side <= box.width and rows * side <= box.height
    ]
    columns, rows = rng.choice(fitting)
    cell_width = rng.uniform(side, min(1.4 * side, box.width / columns))
    cell_height = rng.uniform(side, min(1.4 * side, box.height / rows))
    left = rng.uniform(box.left, box.right - columns * cell_width)
    top = rng.uniform(box.top, box.bottom - rows * cell_height)
    cells = [(column, row) for row in range(rows) for column in range(columns)]
    placed = []
    for column, row in sorted(rng.sample(cells, group.count)):
        x = left + column * cell_width + rng.uniform(side / 2, cell_width - side / 2)
        y = top + row * cell_height + rng.uniform(side / 2, cell_height - side / 2)
        placed.append(Placed(group, x, y, side))
    return placed


def _inside(scene: Scene, rng: random.Random) -> list[Placed]:
    inner, outer = scene.groups
    side = rng.uniform(*_CONTAINER)
    x = rng.uniform(side / 2, 1 - side / 2)
    y = rng.uniform(side / 2, 1 - side / 2)
    # The middle of a container, where also a heart is wide enough.
    reach_x, reach_y = 0.27 * side, 0.15 * side
    room = Box(x - reach_x, y - 0.05 * side - reach_y, x + reach_x, y - 0.05 * side + reach_y)
    if inner.count == 1:
        return [Placed(outer, x, y, side), *_fill(inner, room, rng)]
    # Two must find room beside each other in the smallest container.
    small = min(rng.uniform(*_DIAMETERS["small"]), reach_x)
    apart = rng.uniform(small, 2 * reach_x - small)
    middle = (room.top + room.bottom) / 2
    pair = [Placed(inner, x + sign * apart / 2, middle, small) for sign in (-1, 1)]
    return [Placed(outer, x, y, side), *pair]


def _paste(picture: Image.Image, placed: Placed, rng: random.Random) -> None:
    group = placed.group
    thing = sprite(group.noun, group.colour, rng.randrange(SHADES))
    if rng.random() < 0.5:
        thing = thing.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pixels = max(8, round(placed.side * picture.width))
    thing = thing.resize((pixels, pixels), Image.Resampling.BILINEAR)
    # A leaning big thing would leave the room that its side promises.
    tilt = rng.uniform(-_TILT, _TILT) * math.cos(math.pi * min(0.5, placed.side))
    thing = thing.rotate(tilt, Image.Resampling.BICUBIC)
    corner = (
        round(placed.x * picture.width - pixels / 2),
        round(placed.y * picture.width - pixels / 2),
    )
    picture.paste(thing, corner, thing)

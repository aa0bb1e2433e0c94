"""The outlines of the things in a scene, drawn in a unit square with y pointing down."""

import math
from collections.abc import Callable

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

_WOOD: Colour = (110, 72, 40)
_TYRE: Colour = (35, 35, 38)
_GLASS: Colour = (205, 225, 235)


class Pen:
    """Fills shapes on a transparent square; coordinates are fractions of its side.

    Args:
        side: Pixels of the square.
        main: The colour that a caption names.
        dark: A deeper shade of it, for parts that lie behind.
        light: A paler shade of it, for parts that stand out.
    """

    def __init__(self, side: int, *, main: Colour, dark: Colour, light: Colour) -> None:
        self.image = Image.new("RGBA", (side, side), (*main, 0))
        self.main, self.dark, self.light = main, dark, light
        self._side = side
        self._draw = ImageDraw.Draw(self.image)

    def polygon(self, *points: Point, fill: Colour) -> None:
        """Fill a closed polygon."""
        self._draw.polygon([(x * self._side, y * self._side) for x, y in points], (*fill, 255))

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: Colour) -> None:
        """Fill an ellipse around ``(x, y)``."""
        s = self._side
        box = ((x - rx) * s, (y - ry) * s, (x + rx) * s, (y + ry) * s)
        self._draw.ellipse(box, (*fill, 255))

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: Colour) -> None:
        """Fill a rectangle."""
        self.polygon((x0, y0), (x1, y0), (x1, y1), (x0, y1), fill=fill)

    def erase(self, x: float, y: float, rx: float, ry: float) -> None:
        """Make an ellipse transparent again."""
        s = self._side
        box = ((x - rx) * s, (y - ry) * s, (x + rx) * s, (y + ry) * s)
        self._draw.ellipse(box, (*self.main, 0))


def _circle(pen: Pen) -> None:
    pen.ellipse(0.5, 0.5, 0.42, 0.42, pen.main)


def _square(pen: Pen) -> None:
    pen.box(0.1, 0.1, 0.9, 0.9, pen.main)


def _triangle(pen: Pen) -> None:
    pen.polygon((0.5, 0.1), (0.93, 0.86), (0.07, 0.86), fill=pen.main)


def _star(pen: Pen) -> None:
    points = []
    for step in range(10):
        radius = 0.46 if step % 2 == 0 else 0.19
        angle = math.pi * step / 5
        points.append((0.5 + radius * math.sin(angle), 0.52 - radius * math.cos(angle)))
    pen.polygon(*points, fill=pen.main)


def _heart(pen: Pen) -> None:
    points = []
    for step in range(60):
        t = 2 * math.pi * step / 60
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((0.5 + 0.026 * x, 0.46 - 0.026 * y))
    pen.polygon(*points, fill=pen.main)


def _moon(pen: Pen) -> None:
    pen.ellipse(0.46, 0.5, 0.42, 0.42, pen.main)
    pen.erase(0.64, 0.44, 0.35, 0.35)


def _tree(pen: Pen) -> None:
    pen.box(0.42, 0.5, 0.58, 0.97, _WOOD)
    for x, y, radius in ((0.32, 0.42, 0.2), (0.68, 0.42, 0.2), (0.5, 0.25, 0.21), (0.5, 0.44, 0.2)):
        pen.ellipse(x, y, radius, radius, pen.main)


def _house(pen: Pen) -> None:
    pen.box(0.68, 0.12, 0.78, 0.4, pen.dark)
    pen.box(0.17, 0.45, 0.83, 0.9, pen.main)
    pen.polygon((0.5, 0.08), (0.95, 0.47), (0.05, 0.47), fill=pen.dark)
    pen.box(0.42, 0.63, 0.58, 0.9, _WOOD)
    pen.box(0.23, 0.55, 0.36, 0.69, _GLASS)
    pen.box(0.64, 0.55, 0.77, 0.69, _GLASS)


def _fish(pen: Pen) -> None:
    pen.polygon((0.66, 0.5), (0.96, 0.26), (0.9, 0.5), (0.96, 0.74), fill=pen.dark)
    pen.polygon((0.36, 0.34), (0.5, 0.13), (0.62, 0.36), fill=pen.dark)
    pen.ellipse(0.42, 0.5, 0.37, 0.23, pen.main)
    pen.ellipse(0.21, 0.45, 0.05, 0.05, (250, 250, 250))
    pen.ellipse(0.2, 0.45, 0.025, 0.025, (20, 20, 20))
    pen.polygon((0.42, 0.5), (0.56, 0.43), (0.56, 0.6), fill=pen.dark)


def _flower(pen: Pen) -> None:
    pen.box(0.475, 0.5, 0.525, 0.96, (50, 120, 50))
    pen.ellipse(0.62, 0.8, 0.12, 0.05, (50, 120, 50))
    for step in range(6):
        angle = math.pi * step / 3
        pen.ellipse(0.5 + 0.2 * math.cos(angle), 0.36 + 0.2 * math.sin(angle), 0.14, 0.14, pen.main)
    pen.ellipse(0.5, 0.36, 0.11, 0.11, (245, 190, 40) if pen.main[2] > 60 else (120, 70, 20))


def _cup(pen: Pen) -> None:
    pen.ellipse(0.74, 0.5, 0.2, 0.2, pen.dark)
    pen.erase(0.74, 0.5, 0.11, 0.11)
    pen.polygon((0.12, 0.2), (0.74, 0.2), (0.68, 0.88), (0.18, 0.88), fill=pen.main)
    pen.ellipse(0.43, 0.2, 0.31, 0.08, pen.light)
    pen.ellipse(0.43, 0.21, 0.25, 0.05, (80, 50, 30))


def _arrow(pen: Pen) -> None:
    pen.box(0.05, 0.4, 0.6, 0.6, pen.main)
    pen.polygon((0.55, 0.18), (0.96, 0.5), (0.55, 0.82), fill=pen.main)


def _boat(pen: Pen) -> None:
    pen.box(0.46, 0.06, 0.5, 0.72, _WOOD)
    pen.polygon((0.53, 0.08), (0.53, 0.62), (0.9, 0.62), fill=pen.main)
    pen.polygon((0.43, 0.16), (0.43, 0.62), (0.14, 0.62), fill=pen.light)
    pen.polygon((0.04, 0.68), (0.96, 0.68), (0.8, 0.92), (0.2, 0.92), fill=pen.main)


def _car(pen: Pen) -> None:
    pen.polygon((0.24, 0.5), (0.35, 0.27), (0.68, 0.27), (0.82, 0.5), fill=pen.main)
    pen.polygon((0.31, 0.48), (0.38, 0.33), (0.5, 0.33), (0.5, 0.48), fill=_GLASS)
    pen.polygon((0.54, 0.48), (0.54, 0.33), (0.65, 0.33), (0.74, 0.48), fill=_GLASS)
    pen.box(0.04, 0.48, 0.96, 0.7, pen.main)
    pen.box(0.04, 0.63, 0.96, 0.7, pen.dark)
    for x in (0.25, 0.75):
        pen.ellipse(x, 0.71, 0.12, 0.12, _TYRE)
        pen.ellipse(x, 0.71, 0.05, 0.05, (190, 190, 195))


def _bird(pen: Pen) -> None:
    pen.polygon((0.7, 0.56), (0.98, 0.44), (0.94, 0.66), fill=pen.dark)
    pen.polygon((0.17, 0.3), (0.02, 0.38), (0.18, 0.4), fill=(240, 150, 30))
    pen.box(0.44, 0.74, 0.47, 0.93, (200, 120, 30))
    pen.box(0.55, 0.74, 0.58, 0.93, (200, 120, 30))
    pen.ellipse(0.5, 0.57, 0.3, 0.21, pen.main)
    pen.ellipse(0.28, 0.34, 0.15, 0.15, pen.main)
    pen.polygon((0.16, 0.4), (0.4, 0.3), (0.5, 0.5), (0.25, 0.6), fill=pen.main)
    pen.polygon((0.42, 0.5), (0.76, 0.48), (0.6, 0.7), fill=pen.dark)
    pen.ellipse(0.24, 0.31, 0.03, 0.03, (250, 250, 250))
    pen.ellipse(0.235, 0.31, 0.017, 0.017, (15, 15, 15))


def _umbrella(pen: Pen) -> None:
    pen.box(0.48, 0.08, 0.52, 0.84, _WOOD)
    pen.ellipse(0.43, 0.84, 0.09, 0.09, _WOOD)
    pen.erase(0.43, 0.84, 0.05, 0.05)
    pen.box(0.48, 0.7, 0.52, 0.84, _WOOD)
    arc = [(0.5 - 0.46 * math.cos(a), 0.54 - 0.42 * math.sin(a)) for a in _angles(24)]
    scallops = [
        (0.96 - 0.92 * k / 24, 0.54 - 0.05 * abs(math.sin(math.pi * k / 6))) for k in range(25)
    ]
    pen.polygon(*arc, *scallops, fill=pen.main)
    pen.polygon((0.5, 0.12), (0.37, 0.53), (0.63, 0.53), fill=pen.dark)


def _angles(steps: int) -> list[float]:
    return [math.pi * step / steps for step in range(steps + 1)]


DRAWINGS: dict[str, Callable[[Pen], None]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "heart": _heart,
    "moon": _moon,
    "tree": _tree,
    "house": _house,
    "fish": _fish,
    "flower": _flower,
    "cup": _cup,
    "arrow": _arrow,
    "boat": _boat,
    "car": _car,
    "bird": _bird,
    "umbrella": _umbrella,
}
"""Noun to drawing; a drawing leaves a margin so that an outline and a shadow fit."""

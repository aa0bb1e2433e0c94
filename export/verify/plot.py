"""Bytes against lost recall, drawn as SVG."""

import math
from collections.abc import Sequence
from html import escape
from itertools import cycle

from export.verify import cells
from export.verify.figures import PairFigures

_WIDTH, _HEIGHT = 720, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 28, 48
_SHIFTS = (-10, 20, 38)
"""Of labels from their points, in turns, so that neighbours do not write over each other."""
_COLOURS = ("#3367d6", "#c2410c", "#0f766e", "#7e22ce")


def draw(pairs: Sequence[PairFigures]) -> str:
    """One point a pair of towers; empty where the truth could not retrieve.

    What it shows is in the table too, so that nothing is lost to who cannot see it.

    Args:
        pairs: From a verification.
    """
    points = [(pair, lost) for pair in pairs if (lost := pair.loss.worst_at_10) is not None]
    if not points:
        return ""
    sizes = [math.log10(pair.bytes) for pair, _ in points]
    low, high = min(sizes) - 0.1, max(sizes) + 0.1
    top, bottom = min(0.0, *(-lost for _, lost in points)), max(0.0, *(-lost for _, lost in points))
    spread = max(bottom - top, 0.1)
    formats = list(dict.fromkeys(pair.format for pair in pairs))

    def across(count: float) -> float:
        return _LEFT + (math.log10(count) - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def down(change: float) -> float:
        return _TOP + (bottom - change) / spread * (_HEIGHT - _TOP - _BOTTOM)

    points.sort(key=lambda point: point[0].bytes)
    marks = "".join(
        _mark(pair, across(pair.bytes), down(-lost), formats.index(pair.format), shift)
        for (pair, lost), shift in zip(points, cycle(_SHIFTS), strict=False)
    )
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        'aria-labelledby="plot-title plot-what"><title id="plot-title">Bytes and recall</title>'
        '<desc id="plot-what">Each pair of towers by megabytes, to the right, and change of '
        "recall@10 in points, upwards; the table below has the figures.</desc>"
        f"{_axes(down(0.0), bottom, top, low, high)}{marks}</svg>"
        f"<figcaption>Change of recall@10 in the worse direction, in points, by megabytes of both "
        f"files. {_legend(formats)}</figcaption></figure>"
    )


def _mark(pair: PairFigures, x: float, y: float, number: int, shift: int) -> str:
    colour = _COLOURS[number % len(_COLOURS)]
    fill = colour if pair.opened else "none"
    anchor = "end" if x > _WIDTH - 160 else "start"
    beside = x - 10 if anchor == "end" else x + 10
    label = escape(f"{pair.format} {cells.pair_name(pair)}")
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{fill}" stroke="{colour}" '
        f'stroke-width="2"/><text x="{beside:.1f}" y="{y + shift:.1f}" text-anchor="{anchor}">'
        f"{label}</text>"
    )


def _axes(zero: float, bottom: float, top: float, low: float, high: float) -> str:
    edge, floor = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    lines = (
        f'<line x1="{_LEFT}" y1="{zero:.1f}" x2="{edge}" y2="{zero:.1f}" stroke="currentColor" '
        f'stroke-dasharray="4 4"/><line x1="{_LEFT}" y1="{_TOP}" x2="{_LEFT}" y2="{floor}" '
        f'stroke="currentColor"/><line x1="{_LEFT}" y1="{floor}" x2="{edge}" y2="{floor}" '
        'stroke="currentColor"/>'
    )
    return lines + (
        f'<text x="{_LEFT - 8}" y="{_TOP + 4}" text-anchor="end">{bottom:+.1f}</text>'
        f'<text x="{_LEFT - 8}" y="{floor + 4}" text-anchor="end">{top:+.1f}</text>'
        f'<text x="{_LEFT}" y="{floor + 20}">{10**low / 1e6:.2g} MB</text>'
        f'<text x="{edge}" y="{floor + 20}" text-anchor="end">{10**high / 1e6:.2g} MB</text>'
    )


def _legend(formats: Sequence[str]) -> str:
    names = ", ".join(
        f'<span style="color:{_COLOURS[number % len(_COLOURS)]}">{escape(name)}</span>'
        for number, name in enumerate(formats)
    )
    return f"{names}; filled: what a host opens."

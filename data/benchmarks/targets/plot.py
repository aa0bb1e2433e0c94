"""Milliseconds against bytes of every timed file, drawn from the CSV alone."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from figures import read_csv
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from study.plots import COLOURS
from targets.goals import Line
from targets.models import BASELINE, DEFAULT

from retrieval.spec.files import replacing

_MARKERS = {"onnx": "o", "litert": "^"}
_TOWERS = (("image", "one photo"), ("text", "one sentence"))


def draw_plot(figures: Path) -> Path | None:
    """Write ``figures`` with the ending ``.svg``; None if nothing is timed.

    Args:
        figures: Path of the CSV without ending.
    """
    lines = [line for line in read_csv(figures) if line["ms"] and line["bytes"]]
    if not lines:
        return None
    path = figures.with_suffix(".svg")
    with mpl.rc_context({"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "targets"}):
        figure = _figure(lines)
        with replacing(path) as temporary:
            figure.savefig(temporary, format="svg", bbox_inches="tight", metadata={"Date": None})
    return path


def _figure(lines: Sequence[Line]) -> Figure:
    figure = Figure(figsize=(9.6, 4.4))
    precisions = list(dict.fromkeys(line["precision"] for line in lines))
    colours = {name: COLOURS[n % len(COLOURS)] for n, name in enumerate(precisions)}
    panels = figure.subplots(1, 2)
    for axes, (tower, what) in zip(panels, _TOWERS, strict=True):
        _panel(axes, [line for line in lines if line["tower"] == tower], colours)
        axes.set_title(f"{what}, one thread")
    panels[0].set_ylabel("ms")
    figure.legend(
        handles=_handles(colours), fontsize=8, ncols=5, loc="upper center", bbox_to_anchor=(0.5, 0)
    )
    return figure


def _panel(axes: Axes, lines: Sequence[Line], colours: dict[str, str]) -> None:
    sizes = {BASELINE: 11, DEFAULT: 8}
    for line in lines:
        ours = line["model"] == DEFAULT
        axes.plot(
            int(line["bytes"]) / 1e6, float(line["ms"]),
            "*" if line["model"] == BASELINE else _MARKERS[line["format"]],
            color=colours[line["precision"]], markersize=sizes.get(line["model"], 5),
            markeredgecolor="black" if ours else "none", alpha=1.0 if ours else 0.7,
        )  # fmt: skip
        if line["model"] == BASELINE:
            axes.annotate(
                BASELINE, (int(line["bytes"]) / 1e6, float(line["ms"])),
                xytext=(-8, -3), textcoords="offset points", ha="right", fontsize=8,
            )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("MB of the file")
    axes.grid(alpha=0.3)


def _handles(colours: dict[str, str]) -> list[Line2D]:
    shapes = {"ONNX Runtime": "o", "LiteRT": "^"}
    return [
        *(Line2D([], [], color=c, marker="s", ls="", label=name) for name, c in colours.items()),
        *(Line2D([], [], color="gray", marker=m, ls="", label=n) for n, m in shapes.items()),
        Line2D(
            [], [], color="white", markeredgecolor="black", marker="o", ls="", label="default model"
        ),
    ]

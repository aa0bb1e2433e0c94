"""Plots of the study, drawn from its CSV alone."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import mean

import matplotlib as mpl
from figures import read_csv
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from study.table import Summary, difference, noise_of, summaries

from retrieval.spec.files import replacing

# Okabe and Ito, 2008: distinct for every kind of colour vision; shapes differ as well.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
MARKERS = "osD^vPX*<>hp"
AXES = (
    ("parameters", 1e6, "million parameters"),
    ("bytes", 1e6, "MB of both ONNX towers"),
    ("ms", 1.0, "ms for one photo and one sentence, one thread"),
)
PRUNING = ("structured pruning", "channel pruning", "unstructured pruning")


def draw_plots(figures: Path) -> list[Path]:
    """Draw ``figures-NAME.svg`` from the CSV of ``figures``; those without data are left out.

    Returns:
        What was written.
    """
    rows = summaries(read_csv(figures))
    written = []
    for name, draw in _plots(rows):
        path = figures.with_name(f"{figures.name}-{name}.svg")
        with mpl.rc_context({"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "study"}):
            figure = draw()
            with replacing(path) as temporary:
                figure.savefig(
                    temporary, format="svg", bbox_inches="tight", metadata={"Date": None}
                )
        written.append(path)
    return written


def _plots(rows: Sequence[Summary]) -> Iterator[tuple[str, Callable[[], Figure]]]:
    for column, unit, label in AXES:
        if any(_size(row, column) is not None for row in rows):
            yield f"recall-{column}", lambda a=(column, unit, label): size_plot(rows, *a)
    for group in PRUNING:
        found = [row for row in rows if row.group == group]
        if found:
            yield group.replace(" ", "-"), lambda f=found: criteria_plot(f)
    ablation = [row for row in rows if row.group == "ablation"]
    if any(row.baseline for row in ablation):
        yield "ablation", lambda: differences_plot(ablation)


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The Pareto front: points that no other one equals or beats in both, smallest first.

    Args:
        points: Each a cost and a worth.
    """
    best: list[tuple[float, float]] = []
    for cost, worth in sorted(set(points), key=lambda point: (point[0], -point[1])):
        if not best or worth > best[-1][1]:
            best.append((cost, worth))
    return best


def size_plot(rows: Sequence[Summary], column: str, unit: float, label: str) -> Figure:
    """Recall@10 against what a model costs, with the front."""
    figure, axes = _axes(7.2, 4.6)
    points = []
    for number, group in enumerate(dict.fromkeys(row.group for row in rows)):
        found = [
            (cost / unit, row.recall_10)
            for row in rows
            if row.group == group and (cost := _size(row, column)) is not None
        ]
        if found:
            axes.plot(
                *zip(*found, strict=True), MARKERS[number % len(MARKERS)], label=group,
                color=COLOURS[number % len(COLOURS)], markersize=5, alpha=0.75,
            )  # fmt: skip
            points += found
    edge = front(points)
    axes.step(
        *zip(*edge, strict=True), where="post", color="black", linewidth=1, label="Pareto front"
    )
    # One failed row would squeeze all others into a line.
    best = max(worth for _, worth in points)
    axes.set_ylim(max(min(worth for _, worth in points) - 1, 0.6 * best), best + 1.5)
    axes.set_xlabel(label)
    axes.set_ylabel("recall@10, mean of both ways (%)")
    axes.legend(fontsize=7, loc="lower right")
    return figure


def criteria_plot(rows: Sequence[Summary]) -> Figure:
    """Recall@10 against the share of weights that went, one line for each criterion."""
    lines: dict[str, list[Summary]] = defaultdict(list)
    for row in rows:
        lines[row.lines[0]["criterion"]].append(row)
    figure, axes = _axes(7.2, 4.6)
    for number, (criterion, members) in enumerate(lines.items()):
        members.sort(key=_zeros)
        recalls = [_of_seeds(row) for row in members]
        middles = [mean(values) for values in recalls]
        reach = [
            [middle - min(values) for middle, values in zip(middles, recalls, strict=True)],
            [max(values) - middle for middle, values in zip(middles, recalls, strict=True)],
        ]
        # Beside each other, so that bars of one sparsity do not hide each other.
        shift = 0.8 * (number - len(lines) / 2) / len(lines) * 4
        axes.errorbar(
            [100 * _zeros(row) + shift for row in members], middles, yerr=reach, capsize=2,
            label=criterion, color=COLOURS[number % len(COLOURS)],
            marker=MARKERS[number % len(MARKERS)], markersize=4, linewidth=1,
            linestyle=("-", "--", ":")[number // len(COLOURS)],
        )  # fmt: skip
    axes.set_xlabel("weights that went (%); bars span the seeds")
    axes.set_ylabel("recall@10, mean of both ways (%)")
    axes.set_title(rows[0].group)
    axes.legend(fontsize=7, ncols=2)
    return figure


def differences_plot(rows: Sequence[Summary]) -> Figure:
    """Each row of the ablation against its baseline, with what chance may do."""
    members = {row.row: row for row in rows}
    noise = noise_of(rows, rows[0].group)
    found = [
        (row.row, difference(row, members[row.baseline], noise))
        for row in rows
        if row.baseline in members
    ]
    figure, axes = _axes(7.2, 0.6 + 0.36 * len(found))
    for place, (_, one) in enumerate(reversed(found)):
        colour = {"helps": COLOURS[2], "hurts": COLOURS[1]}.get(one.verdict, COLOURS[7])
        axes.errorbar(one.gain, place, xerr=one.chance, marker="o", color=colour, capsize=3)
        axes.annotate(
            f"{one.gain:+.1f}", (one.gain, place), (0, 6), textcoords="offset points",
            ha="center", fontsize=7,
        )  # fmt: skip
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks(range(len(found)), [name for name, _ in reversed(found)])
    axes.set_ylim(-0.6, len(found) - 0.2)
    axes.set_xlabel("points of mean recall against both stages; bars: two standard errors")
    return figure


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height))
    axes = figure.add_subplot()
    axes.grid(True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _size(row: Summary, column: str) -> float | None:
    if column != "ms":
        return row.mean(column)
    photo, sentence = row.mean("ms_photo"), row.mean("ms_sentence")
    return None if photo is None or sentence is None else photo + sentence


def _zeros(row: Summary) -> float:
    return float(row.lines[0]["zeros"])


def _of_seeds(row: Summary) -> list[float]:
    pairs = zip(row.values("t2i_r10"), row.values("i2t_r10"), strict=True)
    return [(one + other) / 2 for one, other in pairs]

"""Recall against milliseconds, with the front of what no other shape beats."""

from pathlib import Path

from retrieval.compress.fit.search import Found
from retrieval.spec.errors import MissingExtraError
from retrieval.spec.files import replacing


def plot_front(path: Path, found: Found, *, target: float, title: str) -> None:
    """Write a PNG.

    Args:
        path: Of the file.
        found: Result of a search.
        target: Milliseconds that were allowed.
        title: Above the plot.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("The plot of a search", "train") from error
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for measured, label, fill in (
        (False, "predicted time", "none"),
        (True, "measured time", "0.5"),
    ):
        points = [point for point in found.points if point.measured == measured]
        times = [point.milliseconds for point in points]
        recalls = [100 * point.recall for point in points]
        axes.scatter(times, recalls, label=label, s=18, facecolors=fill, edgecolors="0.5")
    axes.step(
        [point.milliseconds for point in found.front],
        [100 * point.recall for point in found.front],
        where="post",
        label="front",
    )
    axes.axvline(target, linestyle="--", color="tab:red", linewidth=1, label="target")
    best = [found.best.milliseconds], [100 * found.best.recall]
    axes.scatter(*best, marker="*", s=160, color="tab:red", label="chosen", zorder=3)
    axes.set_xlabel("milliseconds")
    axes.set_ylabel("mean recall on dev before fine-tuning, %")
    axes.set_title(title)
    axes.legend()
    FigureCanvasAgg(figure)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)

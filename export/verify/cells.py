"""Figures as people read them, the same on the terminal and on the page."""

from export.verify.figures import FileFigures, Loss, PairFigures

NONE = "–"
"""Where there is no figure."""


def megabytes(count: int | None) -> str:
    """Bytes as millions."""
    return NONE if count is None else f"{count / 1e6:.2f}"


def cosine(value: float | None) -> str:
    """Six digits, cut off, so that what is below a target never looks like it."""
    return NONE if value is None else f"{int(value * 1e6) / 1e6:.6f}"


def milliseconds(value: float | None) -> str:
    """Two digits."""
    return NONE if value is None else f"{value:.2f}"


def recall(loss: Loss, way: str) -> str:
    """Recall@1, 5 and 10 in per cent."""
    return " / ".join(f"{100 * loss.recall[way][f'recall@{k}']:.1f}" for k in (1, 5, 10))


def recall_at_10(loss: Loss, way: str) -> str:
    """Recall@10 in per cent."""
    return f"{100 * loss.recall[way]['recall@10']:.1f} %"


def difference(loss: Loss | None, way: str) -> str:
    """Change of recall@10 in points; a loss is negative."""
    if loss is None or loss.points is None:
        return NONE
    # Not -0.00.
    return f"{0.0 - loss.points[way]['recall@10']:+.2f}"


def overlap(loss: Loss) -> str:
    """Share of the first ten photos that stay, in per cent."""
    return NONE if loss.overlap is None else f"{100 * loss.overlap:.1f}"


def status(file: FileFigures) -> str:
    """Whether a file passed, in words."""
    if file.not_run:
        return f"not run here: {file.not_run}"
    return "; ".join(file.failures) if file.failures else "passes"


def pair_status(pair: PairFigures) -> str:
    """Whether a pair keeps the tolerance, if it is held to it."""
    if pair.failures:
        return "; ".join(pair.failures)
    return "passes" if pair.opened and pair.loss.points is not None else NONE


def pair_name(pair: PairFigures) -> str:
    """Precision of both, or of image and text tower."""
    return pair.image if pair.image == pair.text else f"{pair.image} + {pair.text}"

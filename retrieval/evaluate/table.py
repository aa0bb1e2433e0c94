"""Models side by side: for the terminal, for a README, for a spreadsheet."""

import csv
import io
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich import box
from rich.table import Table

from retrieval.evaluate.report import ModelReport

UNKNOWN = "-"


class _Column(NamedTuple):
    header: str
    value: Callable[[ModelReport], float | int | None]
    written: str
    """Format for people; a CSV file keeps every digit."""


def _recall(direction: str, k: int) -> Callable[[ModelReport], float]:
    return lambda report: 100 * getattr(report.metrics, direction).recall[k]


_COLUMNS = (
    _Column(
        "parameters (M)",
        lambda r: r.size.parameters / 1e6 if r.size and r.size.parameters is not None else None,
        ".2f",
    ),
    _Column("MB", lambda r: r.size.megabytes if r.size else None, ".1f"),
    *(_Column(f"text to image R@{k}", _recall("text_to_image", k), ".1f") for k in (1, 5, 10)),
    *(_Column(f"image to text R@{k}", _recall("image_to_text", k), ".1f") for k in (1, 5, 10)),
    _Column("ms/photo", lambda r: r.latency.photo.median_ms if r.latency else None, ".1f"),
    _Column("ms/sentence", lambda r: r.latency.sentence.median_ms if r.latency else None, ".1f"),
)
"""Recall in percent, megabytes of 10^6 bytes, medians of milliseconds on one thread."""


def rich_table(reports: Sequence[ModelReport], *, title: str | None = None) -> Table:
    """A table for the terminal; recalls at 1, 5 and 10 share a column to fit 80 characters."""
    caption = "Recall@1/5/10 in percent; medians of milliseconds"
    table = Table(
        title=title, caption=caption, box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False
    )
    table.add_column("model", overflow="fold")
    sizes = ("params\n(M)", "\nMB")
    recalls = ("text to\nimage", "image to\ntext")
    for header in (*sizes, *recalls, "ms per\nphoto", "ms per\nsentence"):
        table.add_column(header, justify="right", no_wrap=True)
    for report in reports:
        parameters, megabytes, *found, photo, sentence = _written(report)
        ways = ("/".join(found[:3]), "/".join(found[3:]))
        table.add_row(report.name, parameters, megabytes, *ways, photo, sentence)
    return table


def markdown_table(reports: Sequence[ModelReport]) -> str:
    """A table for a README, with a line feed at its end."""
    rows = [
        ["model", *(column.header for column in _COLUMNS)],
        ["---", *("---:" for _ in _COLUMNS)],
        *([report.name.replace("|", "\\|"), *_written(report)] for report in reports),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def csv_table(reports: Sequence[ModelReport]) -> str:
    """All digits, for a spreadsheet or a plot; unknown values are empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["model", *(column.header for column in _COLUMNS)])
    for report in reports:
        writer.writerow([report.name, *(column.value(report) for column in _COLUMNS)])
    return stream.getvalue()


def _written(report: ModelReport) -> list[str]:
    values = [(column.value(report), column.written) for column in _COLUMNS]
    return [UNKNOWN if value is None else format(value, written) for value, written in values]

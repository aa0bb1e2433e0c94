"""Many probes as one table: for a spreadsheet and for a page that needs no other file."""

import csv
import io
from collections.abc import Sequence
from html import escape
from typing import Any

from export.probe.result import FileResult, ProbeResult
from retrieval.spec.errors import MissingExtraError

COLUMNS = (
    "model",
    "device",
    "system",
    "tower",
    "format",
    "precision",
    "runtime",
    "delegate",
    "threads",
    "golden_cosine",
    "cold_load_ms",
    "warm_load_ms",
    "first_inference_ms",
    "p50_ms",
    "p90_ms",
    "p99_ms",
    "trimmed_mean_ms",
    "runs",
    "peak_memory_bytes",
    "slow_down",
    "thermal_before",
    "thermal_after",
    "reason",
    "leanclip",
    "timestamp",
    "sha256",
)
"""Of the CSV file: named as in the schema, milliseconds and bytes."""

_SHOWN = (
    ("model", "model", ""),
    ("device", "device", ""),
    ("tower", "tower", ""),
    ("format", "format", ""),
    ("precision", "precision", ""),
    ("runtime", "runtime", ""),
    ("delegate", "delegate", ""),
    ("threads", "threads", "d"),
    ("golden_cosine", "golden cosine", ".5f"),
    ("cold_load_ms", "cold load, ms", ".1f"),
    ("first_inference_ms", "first call, ms", ".2f"),
    ("p50_ms", "p50, ms", ".2f"),
    ("p90_ms", "p90, ms", ".2f"),
    ("p99_ms", "p99, ms", ".2f"),
    ("peak_memory_bytes", "peak memory, MB", ".1f"),
    ("slow_down", "slow-down", ".2f"),
    ("reason", "no latency because", ""),
)
_BAR_INCHES = 0.32

_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem }
div { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .6rem; text-align: left; border-bottom: 1px solid #8884 }
th { white-space: nowrap }
td { white-space: nowrap }
td:last-child { white-space: normal; min-width: 12rem }
td.number { text-align: right }
svg { max-width: 100%; height: auto; background: #fff }
""".strip()

Row = dict[str, str | float | int | None]


def rows_of(probes: Sequence[ProbeResult]) -> list[Row]:
    """A row for each file of each probe, with the keys of `COLUMNS`."""
    return [_row(probe, file) for probe in probes for file in probe.files]


def csv_of(probes: Sequence[ProbeResult]) -> str:
    """All figures; unknown values are empty."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows_of(probes))
    return stream.getvalue()


def page_of(probes: Sequence[ProbeResult]) -> str:
    """A page with a plot and a table; it loads nothing.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    rows = rows_of(probes)
    plot = _plot([row for row in rows if row["p50_ms"] is not None])
    head = "".join(f'<th scope="col">{escape(title)}</th>' for _, title, _ in _SHOWN)
    lines = ("".join(_cell(row, *column) for column in _SHOWN) for row in rows)
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Latency by device</title>
<style>
{_STYLE}
</style>
<h1>Latency by device</h1>
<p>One photo or one sentence a call. Bars show the median of the runs, their ends the 90th
percentile. A file whose golden check failed has no latency.</p>
{plot}
<div tabindex="0" role="region" aria-label="All figures">
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table>
</div>
</html>
"""


def _row(probe: ProbeResult, file: FileResult) -> Row:
    timing = file.timing.model_dump() if file.timing else {}
    maker = f"{probe.device.maker} " if probe.device.maker else ""
    browser = f", {probe.system.browser}" if probe.system.browser else ""
    known: Row = {
        "model": probe.bundle.name,
        "device": f"{maker}{probe.device.model}",
        "system": f"{probe.system.name} {probe.system.version}".rstrip() + browser,
        "runtime": f"{file.runtime.name} {file.runtime.version}",
        "golden_cosine": file.golden.worst_cosine if file.golden else None,
        "slow_down": file.sustained.slow_down if file.sustained else None,
        "leanclip": probe.leanclip,
        "timestamp": probe.timestamp.isoformat(),
    }
    plain = file.model_dump()
    return {name: known.get(name, timing.get(name, plain.get(name))) for name in COLUMNS}


def _cell(row: Row, name: str, title: str, written: str) -> str:
    value = row[name]
    if value is None:
        return "<td></td>"
    if not written:
        return f"<td>{escape(str(value))}</td>"
    number = value / 1e6 if name == "peak_memory_bytes" else value  # type: ignore[operator]
    return f'<td class="number">{number:{written}}</td>'


def _plot(rows: Sequence[Row]) -> str:
    """Bars of p50 as an SVG element; empty where nothing was timed."""
    if not rows:
        return ""
    try:
        import matplotlib
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("The plot of a report", "train") from error
    figure = Figure(figsize=(9, 1.2 + _BAR_INCHES * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    medians = [float(row["p50_ms"] or 0) for row in rows]
    # An unknown 90th percentile draws no end.
    ends = [float(row["p90_ms"] or row["p50_ms"] or 0) for row in rows]
    above = [end - median for end, median in zip(ends, medians, strict=True)]
    colours = ["tab:blue" if row["tower"] == "image" else "tab:orange" for row in rows]
    axes.barh(range(len(rows)), medians, xerr=[[0.0] * len(rows), above], color=colours)
    several = len({row["model"] for row in rows}) > 1
    axes.set_yticks(range(len(rows)), [_label(row, several) for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel("ms a photo (blue) or a sentence (orange): p50, p90")
    stream = io.StringIO()
    # Neither a date nor random ids: the same probes give the same page.
    with matplotlib.rc_context({"svg.hashsalt": "leanclip", "svg.fonttype": "none"}):
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(stream, metadata={"Date": None})
    name = "Median and 90th percentile of every file; the table below has the same figures"
    return f'<svg role="img" aria-label="{name}"' + stream.getvalue().partition("<svg")[2]


def _label(row: Row, with_model: bool) -> str:
    file = f"{row['tower']} {row['format']} {row['precision']}, {row['delegate']}, {row['device']}"
    return f"{row['model']}: {file}" if with_model else file

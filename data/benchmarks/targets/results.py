"""What rows came to, on disk: the CSV that tables are made of, and the raw figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from figures import read_csv, read_figures, stamp, write_csv
from targets.row import Row

from retrieval.spec.files import write_json

COLUMNS = (
    "model", "tower", "format", "precision", "status", "reason", "file", "bytes", "bytes_share",
    "worst_cosine", "median_cosine", "inputs", "t2i_r10_change", "i2t_r10_change",
    "ms", "baseline_ms", "times_faster", "browser_ms", "browser_reason",
    "recommended", "recommended_int8", "machine", "date", "commit", "sha256",
)  # fmt: skip
MEASURED, REFUSED, MISSING = "measured", "refused", "missing"
"""Of a row: it has figures; it cannot be; what makes or runs it is not installed."""
PACKAGES = (
    "leanclip", "torch", "timm", "onnx", "onnxruntime", "litert-torch", "ai-edge-litert",
    "ai-edge-quantizer", "coremltools", "executorch", "open_clip_torch", "numpy",
)  # fmt: skip

_DIGITS = {
    "bytes_share": 5, "worst_cosine": 7, "median_cosine": 7, "ms": 4, "baseline_ms": 4,
    "times_faster": 3, "browser_ms": 4, "t2i_r10_change": 3, "i2t_r10_change": 3,
}  # fmt: skip


class Results:
    """Lines of the table by the key of their row, written after each change.

    Args:
        figures: Path of the files without ending.
        order: All rows; lines of rows that are no more, or of other weights, are dropped
            when something is written.
        statistic: What the figures are.
    """

    def __init__(self, figures: Path, order: Sequence[Row], statistic: str) -> None:
        self._figures = figures
        self._order = order
        self._lines = {_key(line): line for line in read_csv(figures)}
        earlier = read_figures(figures)
        self._raw: dict[str, dict[str, Any]] = {one["row"]: one for one in earlier.get("raw", [])}
        self.stamp = stamp(threads="1", statistic=statistic, packages=PACKAGES)
        self._stamps = {one["date"]: one for one in earlier.get("stamps", [])}
        self._stamps[self.stamp["date"]] = self.stamp

    def line(self, row: Row) -> dict[str, str] | None:
        """A row's line, if it is of these weights and inputs."""
        line = self._lines.get(row.key)
        return line if line is not None and line["sha256"] == row.sha256 else None

    def done(self, row: Row) -> bool:
        """Whether a row need not be measured again."""
        line = self.line(row)
        return line is not None and line["status"] != MISSING

    def put(self, row: Row, values: Mapping[str, Any], raw: Mapping[str, Any]) -> None:
        """Take in a row that was measured or refused now.

        Args:
            row: Which.
            values: Columns; those that are left out stay empty.
            raw: More, for the JSON file: every round.
        """
        stamped = {key: self.stamp[key] for key in ("machine", "date", "commit")}
        named = {
            "model": row.model,
            "tower": row.tower,
            "format": row.format,
            "precision": row.precision,
            "sha256": row.sha256,
        }
        self._lines[row.key] = dict.fromkeys(COLUMNS, "") | _written({**values, **stamped, **named})
        self._raw[row.key] = {"row": row.key, "date": self.stamp["date"], **raw}

    def add(self, row: Row, values: Mapping[str, Any]) -> None:
        """Change some columns of a row that is there."""
        self._lines[row.key].update(_written(values))

    def save(self) -> None:
        """Write CSV and JSON."""
        rows = [row for row in self._order if self.line(row) is not None]
        write_csv(self._figures, COLUMNS, [self._lines[row.key] for row in rows])
        raw = [self._raw[row.key] for row in rows if row.key in self._raw]
        # One for each run that some row still comes from.
        stamps = [self._stamps[date] for date in dict.fromkeys(one["date"] for one in raw)]
        content = {"benchmark": self._figures.name, "stamps": stamps, "raw": raw}
        write_json(self._figures.with_suffix(".json"), content)


def _key(line: Mapping[str, str]) -> str:
    return "/".join(line[name] for name in ("model", "tower", "format", "precision"))


def _written(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: _cell(name, value) for name, value in values.items()}


def _cell(name: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return "yes"
    return str(round(float(value), _DIGITS[name])) if name in _DIGITS else str(value)

"""What every benchmark here writes down: raw figures, and where and how they were measured.

A benchmark NAME writes ``NAME.json`` (everything) and ``NAME.csv`` (one line per raw figure)
beside its script. A figure without machine, date, commit, versions, threads and statistic
says nothing, so `write_figures` asks for all of them.
"""

import csv
import io
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from retrieval.evaluate.latency import machine_name
from retrieval.spec.files import write_json, write_text

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
PHOTOS = REPOSITORY / "data" / "photos"


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median, extremes and count of repeated measurements."""
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "runs": len(values),
    }


def stamp(*, threads: str, statistic: str, packages: Sequence[str]) -> dict[str, Any]:
    """Machine, date, commit and versions of a run that begins now.

    Args:
        threads: How many threads the measured code may use.
        statistic: What the summarised figures are, such as "median of 7 runs".
        packages: Distributions whose version matters; None in the result if not installed.
    """
    return {
        "machine": machine_name(),
        "load_average_at_start": _load_average(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "versions": {"python": platform.python_version()}
        | {package: _version(package) for package in packages},
        "threads": threads,
        "statistic": statistic,
    }


def write_figures(
    out: Path,
    *,
    stamped: Mapping[str, Any],
    results: Any,
    raw: Sequence[Mapping[str, Any]],
) -> None:
    """Write ``out`` with the endings ``.json`` and ``.csv``, each whole or not at all.

    Args:
        out: Path without an ending.
        stamped: As `stamp` gives it.
        results: What the raw figures come to.
        raw: One mapping per measurement, all with the same keys.
    """
    content = {"benchmark": out.name, "stamp": stamped, "results": results, "raw": list(raw)}
    write_json(out.with_suffix(".json"), content)
    write_csv(out, list(raw[0]), raw)


def read_figures(out: Path) -> dict[str, Any]:
    """What was written to ``out`` with the ending ``.json``; empty if there is no such file."""
    path = out.with_suffix(".json")
    return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else {}


def measured(name: str) -> dict[str, Any]:
    """What the benchmark of that name wrote; empty if it has not been run."""
    return read_figures(HERE / name)


def write_csv(out: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write ``out`` with the ending ``.csv``, whole or not at all; None becomes an empty cell.

    Raises:
        ValueError: A row has something else than the columns.
    """
    lines = io.StringIO()
    writer = csv.DictWriter(lines, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(out.with_suffix(".csv"), lines.getvalue())


def read_csv(out: Path) -> list[dict[str, str]]:
    """Lines of ``out`` with the ending ``.csv``; none if there is no such file."""
    path = out.with_suffix(".csv")
    return list(csv.DictReader(path.read_text("utf-8").splitlines())) if path.is_file() else []


def with_table(page: str, name: str, table: str) -> str:
    """A page in Markdown with a table between ``<!-- name -->`` and ``<!-- /name -->``.

    Raises:
        ValueError: The page has no such place.
    """
    before, begin, rest = page.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    if not end:
        raise ValueError(f"the page has no place for the table of {name}")
    inside = f"\n{table}\n\n" if table else ""
    return f"{before}{begin}{inside}{end}{after}"


def _load_average() -> float | None:
    # Far above zero, it says that others used the machine too.
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _commit() -> str:
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return "unknown"
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return f"{commit} with local changes" if changed else commit


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None

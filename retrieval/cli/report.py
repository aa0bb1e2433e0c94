"""``leanclip report``: probes of several devices in one table and one plot."""

from pathlib import Path
from typing import Annotated

import typer

from retrieval.spec.errors import ProbeError


def report(
    probes: Annotated[
        list[Path], typer.Argument(metavar="PROBE.json...", help="Written by leanclip probe.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="A page (.html) or a table (.csv).  [default: CSV on the terminal]"),
    ] = None,
) -> None:
    """Gather probes of several devices and models.

    The page holds a plot and a table and loads nothing; beside it lies the same table as CSV
    with every digit.

    \b
    leanclip report here.json pixel.json iphone.json --out report.html
    leanclip report *.json --out latency.csv
    leanclip report here.json | column -s, -t
    """
    from export.probe.files import read_probe
    from export.probe.gather import csv_of, page_of
    from retrieval.spec.files import write_text

    read = [read_probe(path) for path in probes]
    if out is None:
        print(csv_of(read), end="")
        return
    if out.suffix not in {".html", ".csv"}:
        raise ProbeError(f"{out} ends neither in .html nor in .csv: choose one of them")
    if out.suffix == ".html":
        write_text(out, page_of(read))
        print(out)
    write_text(out.with_suffix(".csv"), csv_of(read))
    print(out.with_suffix(".csv"))

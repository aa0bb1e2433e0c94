"""``leanclip index``: read a folder of photos into the catalog."""

import json
from pathlib import Path
from typing import Annotated

import typer

from retrieval.catalog.location import library_home
from retrieval.cli.photos import (
    HomeOption,
    JsonOption,
    ModelOption,
    index_with_progress,
    opened_library,
    print_skipped,
    report_as_json,
    shown,
)
from retrieval.search.indexing import IndexReport
from retrieval.search.scan import resolved_folder


def index(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of photos.")],
    model: ModelOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read a folder of photos into the catalog, so that searching it is quick.

    Only new and changed photos are read; deleted ones leave the results. The folder itself
    is never written to. Stop at any time: what is finished is kept, the next run goes on.
    Files that cannot be read are skipped and named at the end.

    \b
    leanclip index ~/Pictures
    leanclip index ~/Pictures --model bundles/vit-b-32
    leanclip index /mnt/photos --home ~/.leanclip-nas --json
    """  # noqa: D301  (click ends re-flowing at a backspace character)
    resolved_folder(folder)
    with opened_library(library_home(home), model) as library:
        report = index_with_progress(library, folder)
        name = library.encoder.name
    if as_json:
        print(json.dumps({"folder": str(folder), "model": name, **report_as_json(report)}))
        return
    print(f"{shown(folder)}: {summary(report)}")
    print_skipped(report.skipped)


def summary(report: IndexReport) -> str:
    """One line on what an indexing run did."""
    done = report.added + report.changed
    rate = f", {done / report.seconds:.0f} photos/s" if done else ""
    return (
        f"{report.photos:,} photos can be searched: {report.added:,} added, "
        f"{report.changed:,} changed, {report.removed:,} removed, {report.unchanged:,} unchanged "
        f"({report.seconds:.1f} s{rate})"
    )

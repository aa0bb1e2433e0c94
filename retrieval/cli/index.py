"""``leanclip index``: read folders of photos into the catalog."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.catalog.location import library_home
from retrieval.cli.options import HomeOption, JsonOption, ModelOption
from retrieval.cli.photos import (
    index_with_progress,
    note,
    opened_library,
    print_skipped,
    report_as_json,
    shown,
)
from retrieval.spec.errors import CatalogError, PhotoError

if TYPE_CHECKING:
    from retrieval.search.indexing import IndexReport
    from retrieval.search.library import Library
    from retrieval.search.rules import ScanRules

_TOTALS = (
    "photos",
    "added",
    "changed",
    "moved",
    "removed",
    "unchanged",
    "reused",
    "companions",
    "seconds",
)


def index(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DIR...", help="Folders of photos; else all indexed ones."),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Read only photos that match one of these."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Leave out photos and folders that match."),
    ] = None,
    hidden: Annotated[
        bool | None, typer.Option("--hidden", help="Also names that begin with a dot.")
    ] = None,
    follow_links: Annotated[
        bool | None, typer.Option("--follow-links", help="Also folders that links lead to.")
    ] = None,
    one_file_system: Annotated[
        bool | None, typer.Option("--one-file-system", help="Enter no other drive or mount.")
    ] = None,
    companions: Annotated[
        bool | None,
        typer.Option("--companions", help="Also RAW files and Live Photo videos beside a photo."),
    ] = None,
    min_size: Annotated[
        int | None, typer.Option(metavar="BYTES", min=0, help="Leave out smaller files.")
    ] = None,
    all_photos: Annotated[
        bool, typer.Option("--default-rules", help="Drop the rules that were remembered.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Believe that a folder with photos is empty now.")
    ] = False,
    model: ModelOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read folders of photos into the catalog, so that searching them is quick.

    Only new and changed photos are read; deleted ones leave the results; renamed, moved and
    copied ones are recognised by their content. Folders are never written to. Stop at any
    time: what is finished is kept, the next run goes on. Files that cannot be read within a
    minute, or at all, are skipped and named at the end. HEIC, RAW files and videos are read once
    leanclip[heif], leanclip[raw] and leanclip[video] are installed.

    A RAW file beside its JPEG or HEIC, and the video of a Live Photo, are not shown a second time:
    the JPEG or HEIC stands for them, as long as it is there. --companions reads both.

    Rules are remembered for each folder and hold for everything below it, also when search
    and watch look for new photos; giving any rule replaces them all. Patterns are those of
    .gitignore, on the path from the indexed folder: *.png anywhere, /scans at the top, raw/
    folders of that name, 2019/**/draft-*; a leading ! takes an exclusion back.

    Memory: besides the model, up to 96 decoded photos of the model's size (15 MB at 224
    pixels), and one decoding process per core, 8 at most, of about 50 MB and one photo each.

    \b
    leanclip index ~/Pictures
    leanclip index ~/Pictures /mnt/nas/photos --one-file-system
    leanclip index ~/Pictures --companions
    leanclip index ~/Pictures --exclude "*.gif" --exclude "thumbnails/" --min-size 20000
    leanclip index --json
    """
    from retrieval.search.indexing.roots import indexed_roots
    from retrieval.search.rules import ScanRules
    from retrieval.search.scan import resolved_folder

    rules = _rules(
        include=include,
        exclude=exclude,
        hidden=hidden,
        follow_links=follow_links,
        one_file_system=one_file_system,
        companions=companions,
        minimum_bytes=min_size,
    )
    if all_photos and rules is not None:
        raise typer.BadParameter("--default-rules cannot be combined with rules")
    if len(folders or ()) == 1:
        resolved_folder((folders or [])[0])
    with opened_library(library_home(home), model) as library:
        chosen = folders or [root.path for root in indexed_roots(library.catalog)]
        if not chosen:
            raise CatalogError("nothing is indexed yet; name a folder: leanclip index FOLDER")
        reports = _index_all(library, chosen, ScanRules() if all_photos else rules, force)
        name = library.encoder.name
    if as_json:
        print(json.dumps(_as_json(name, reports)))
    else:
        for folder, report in reports:
            print(f"{shown(folder)}: {summary(report)}")
            print_skipped(report.skipped)
    if len(reports) < len(chosen):
        raise typer.Exit(1)


def summary(report: IndexReport) -> str:
    """One line on what an indexing run did."""
    done = report.added + report.changed
    rate = f", {done / report.seconds:.0f} photos/s" if done else ""
    moved = f"{report.moved:,} moved, " if report.moved else ""
    beside = f", {report.companions:,} left out beside their photo" if report.companions else ""
    return (
        f"{report.photos:,} photos can be searched: {report.added:,} added, "
        f"{report.changed:,} changed, {moved}{report.removed:,} removed, "
        f"{report.unchanged:,} unchanged{beside} ({report.seconds:.1f} s{rate})"
    )


def _rules(**given: Any) -> ScanRules | None:
    from retrieval.search.rules import ScanRules

    named = {name: value for name, value in given.items() if value is not None and value != []}
    if not named:
        return None
    rules = ScanRules(**named)
    rules.check()
    return rules


def _index_all(
    library: Library, folders: list[Path], rules: ScanRules | None, force: bool
) -> list[tuple[Path, IndexReport]]:
    """Index one folder after the other; one that is not there does not stop the others."""
    reports = []
    for folder in folders:
        try:
            report = index_with_progress(library, folder, rules=rules, force=force)
        except PhotoError as error:
            if len(folders) == 1:
                raise
            note(str(error))
            continue
        reports.append((folder, report))
    return reports


def _as_json(model: str, reports: list[tuple[Path, IndexReport]]) -> dict[str, Any]:
    found = [{"folder": str(folder), **report_as_json(report)} for folder, report in reports]
    totals = {name: sum(one[name] for one in found) for name in _TOTALS}
    skipped = [item for one in found for item in one["skipped"]]
    return {"model": model, **totals, "skipped": skipped, "folders": found}

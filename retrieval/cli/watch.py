"""``leanclip watch``: index photos as they come, change and go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.catalog.location import library_home
from retrieval.cli.options import HomeOption, ModelOption
from retrieval.cli.photos import index_with_progress, note, opened_library, shown
from retrieval.spec.errors import CatalogError, PhotoError

if TYPE_CHECKING:
    from retrieval.search.indexing import IndexReport
    from retrieval.search.indexing.roots import Root
    from retrieval.search.indexing.watch import Change
    from retrieval.search.library import Library


def watch(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DIR...", help="Folders to watch; else all indexed ones."),
    ] = None,
    poll: Annotated[
        bool, typer.Option("--poll", help="Look again and again: for network drives.")
    ] = False,
    model: ModelOption = None,
    home: HomeOption = None,
) -> None:
    """Index photos as they come, change and go, until Ctrl-C.

    Only what changed is read, by the rules that leanclip index remembered. A drive that is
    taken away is waited for. Needs an extra: pip install 'leanclip[watch]'.

    \b
    leanclip watch
    leanclip watch ~/Pictures
    leanclip watch /mnt/nas/photos --poll
    """
    from retrieval.search.indexing.watch import changes

    place = library_home(home)
    with opened_library(place, model) as library:
        roots = _roots(library, folders or [])
        note(f"watching {', '.join(shown(root.path) for root in roots)}; Ctrl-C ends it")
        try:
            for change in changes(roots, ignore=place.resolve(), poll=poll):
                _index(library, change)
        except KeyboardInterrupt:
            note("watching has ended; what was finished is kept")


def _roots(library: Library, folders: list[Path]) -> list[Root]:
    from retrieval.search.indexing.roots import Root, indexed_roots, root_of
    from retrieval.search.scan import resolved_folder

    if folders:
        found = [resolved_folder(folder) for folder in folders]
        return [Root(folder, root_of(folder, library.catalog).rules) for folder in found]
    roots = indexed_roots(library.catalog)
    if not roots:
        raise CatalogError("nothing is indexed yet; name a folder: leanclip watch FOLDER")
    return roots


def _index(library: Library, change: Change) -> None:
    try:
        report = index_with_progress(library, change.root.path, only=change.only)
    except PhotoError as error:
        # The folder is empty, or has gone again: both may change.
        note(str(error))
        return
    if line := _news(report):
        print(f"{shown(change.root.path)}: {line}", flush=True)


def _news(report: IndexReport) -> str:
    parts = {
        "added": report.added,
        "changed": report.changed,
        "moved": report.moved,
        "removed": report.removed,
    }
    return ", ".join(f"{count:,} {name}" for name, count in parts.items() if count)

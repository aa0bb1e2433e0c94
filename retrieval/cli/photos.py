"""What the commands of the search product share: the library, progress, how paths are shown."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.spec.readable import readable

if TYPE_CHECKING:
    from rich.progress import Progress

    from retrieval.search.indexing import IndexProgress, IndexReport
    from retrieval.search.library import Library
    from retrieval.search.rules import ScanRules

SKIPPED_SHOWN = 20


@contextmanager
def opened_library(home: Path, model: str | None) -> Iterator[Library]:
    """The library in ``home``, with the named model or the one that it remembers."""
    from retrieval.hub.names import DEFAULT, remembered_name
    from retrieval.search.library import Library, remembered_model

    source = model or remembered_model(home) or DEFAULT
    # ONNX Runtime takes a while to import, and a wrong --home should not have to wait for it.
    from retrieval.encode.load import open_encoder

    with Library.open(home, open_encoder(source), source=remembered_name(source)) as library:
        yield library


@contextmanager
def searched_library(
    folder: Path | None, home: Path, model: str | None, *, no_indexing: bool
) -> Iterator[Library]:
    """The library to search ``folder`` in, brought up to date with it.

    Args:
        folder: None for everything that is indexed.
        home: As for `opened_library`.
        model: As for `opened_library`.
        no_indexing: Take the folder as it was last indexed.
    """
    from retrieval.search.scan import resolved_folder

    # A wrong name should not have to wait for the model.
    if folder is not None:
        resolved_folder(folder)
    with opened_library(home, model) as library:
        if folder is not None and not no_indexing:
            _bring_up_to_date(library, folder)
        yield library


def index_with_progress(
    library: Library,
    folder: Path,
    *,
    rules: ScanRules | None = None,
    only: Sequence[Path] | None = None,
    force: bool = False,
) -> IndexReport:
    """Index ``folder``; a bar on standard error shows how it goes, if there is work.

    The options are those of `Library.ensure_index`.
    """
    with _Bar() as bar:
        return library.ensure_index(folder, progress=bar.show, rules=rules, only=only, force=force)


def _bring_up_to_date(library: Library, folder: Path) -> None:
    report = index_with_progress(library, folder)
    fresh = report.added + report.changed
    if fresh:
        skipped = f", {len(report.skipped):,} skipped (see leanclip status)"
        note(
            f"{fresh:,} new photos indexed in {report.seconds:.1f} s"
            + (skipped if report.skipped else "")
        )


class _Bar:
    """Rate, time left and skipped files; appears when the first photo has to be read."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._task: Any = None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, now: IndexProgress) -> None:
        """Draw the state of the run."""
        if not sys.stderr.isatty():
            return
        if self._bar is None:
            self._bar = _new_bar()
            self._task = self._bar.add_task("indexing", total=now.total, rate="", skipped="")
            self._bar.start()
        speed = self._bar.tasks[0].speed
        self._bar.update(
            self._task,
            completed=now.done,
            rate=f"{speed:.0f} photos/s" if speed else "",
            skipped=f"{now.skipped} skipped" if now.skipped else "",
        )


def _new_bar() -> Progress:
    from rich import progress as rich_progress
    from rich.console import Console

    return rich_progress.Progress(
        "indexing",
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        "{task.fields[rate]}",
        rich_progress.TimeRemainingColumn(),
        "[yellow]{task.fields[skipped]}",
        console=Console(stderr=True),
        transient=True,
    )


def note(message: str) -> None:
    """Say something on standard error, where it does not disturb a pipe."""
    print(f"leanclip: {message}", file=sys.stderr)


def shown(path: Path) -> str:
    """A path fit for a terminal: short, and without bytes that are no text or that act."""
    here = Path.cwd()
    return readable(path.relative_to(here) if path.is_relative_to(here) else path)


def print_skipped(skipped: list[tuple[Path, str]]) -> None:
    """List files that cannot be searched, with the reason for each."""
    if not skipped:
        return
    print(f"skipped {len(skipped)}:")
    for path, why in skipped[:SKIPPED_SHOWN]:
        print(f"  {shown(path)}: {why}")
    if len(skipped) > SKIPPED_SHOWN:
        print(f"  and {len(skipped) - SKIPPED_SHOWN} more; leanclip status --json names all")


def report_as_json(report: IndexReport) -> dict[str, Any]:
    """An indexing report with plain values."""
    return {
        "photos": report.photos,
        "added": report.added,
        "changed": report.changed,
        "moved": report.moved,
        "reused": report.reused,
        "removed": report.removed,
        "unchanged": report.unchanged,
        "companions": report.companions,
        "skipped": skipped_as_json(report.skipped),
        "seconds": round(report.seconds, 3),
    }


def skipped_as_json(skipped: list[tuple[Path, str]]) -> list[dict[str, str]]:
    """Skipped files with plain values."""
    return [{"path": str(path), "why": why} for path, why in skipped]

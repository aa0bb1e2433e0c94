"""Bars on standard error for work whose extent is known: rate and time left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Items a second, over the last moments."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s")


@contextmanager
def progress_bar(verb: str, total: int | None = None) -> Iterator[Callable[[int, int], None]]:
    """Show a bar while the body runs; yield what it calls with (done, total).

    Args:
        verb: What is being done, such as ``embedding``.
        total: How much there is, if it is known before the first call.
    """
    with _bar() as bar:
        task = bar.add_task(verb, total=total)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def counting_bar(verb: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar while the body runs; yield what it calls with the items finished since then.

    Args:
        verb: What is being done, such as ``embedding``.
        total: How many items there are.
    """
    with _bar() as bar:
        task = bar.add_task(verb, total=total)
        yield lambda items: bar.advance(task, items)


class StageProgress:
    """A bar per piece of work, one after the other; a `retrieval.compress` reporter."""

    def __init__(self) -> None:
        self._bar = _bar(TextColumn("{task.fields[note]}"))
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def begin(self, title: str, total: int, done: int = 0) -> None:
        """Start a new bar below the finished ones."""
        self._task = self._bar.add_task(title, total=total, completed=done, note="")

    def advance(self, done: int, total: int | None = None, note: str = "") -> None:
        """Move the newest bar."""
        assert self._task is not None
        self._bar.update(self._task, completed=done, total=total, note=note)

    def tell(self, text: str) -> None:
        """Print a line above the bars."""
        self._bar.console.print(text, highlight=False, markup=False)


def _bar(*more: ProgressColumn) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate())
    return Progress(*columns, TimeRemainingColumn(), *more, console=Console(stderr=True))

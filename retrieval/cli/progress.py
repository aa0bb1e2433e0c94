"""A bar on standard error for work whose extent is known: rate and time left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
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
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(verb, total=total)
        yield lambda done, total: bar.update(task, completed=done, total=total)

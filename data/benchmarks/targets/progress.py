"""Progress on the terminal while rows are measured."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from targets.row import Row


@contextmanager
def following(
    waiting: Sequence[Row], console: Console
) -> Iterator[tuple[Callable[[str], None], Callable[[Row], None]]]:
    """Show a bar, by the seconds that rows usually take.

    Args:
        waiting: All that is to be done.
        console: Where.

    Yields:
        What to call with what is being done, and with each row that is finished.
    """
    columns = (
        TextColumn("{task.percentage:.0f} %"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=sum(row.expected_seconds for row in waiting))

        def done(row: Row) -> None:
            bar.advance(task, row.expected_seconds)
            bar.console.print(f"done: {row.key}", markup=False, highlight=False)

        yield lambda doing: bar.update(task, description=doing), done

"""How library code tells of progress without printing."""

from typing import Protocol


class Reporter(Protocol):
    """Receives progress; the command line draws it, tests count it."""

    def begin(self, title: str, total: int, done: int = 0) -> None:
        """A piece of work of ``total`` steps starts (or resumes at ``done``)."""

    def advance(self, done: int, total: int | None = None, note: str = "") -> None:
        """``done`` steps are finished; ``note`` is a short figure to show beside it.

        ``total`` corrects the extent that `begin` gave, where it is known better by now.
        """

    def tell(self, text: str) -> None:
        """Something worth a line."""


class SilentReporter:
    """Tells nobody."""

    def begin(self, title: str, total: int, done: int = 0) -> None:
        """Ignored."""

    def advance(self, done: int, total: int | None = None, note: str = "") -> None:
        """Ignored."""

    def tell(self, text: str) -> None:
        """Ignored."""

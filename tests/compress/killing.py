"""A run that is killed at a step of a test's choice."""

from retrieval.compress.loop.reporter import SilentReporter


class Killed(BaseException):
    """Stands for a kill: nothing of ours catches it."""


class KillAfter(SilentReporter):
    """Kills the run when it reports a step, before that step can be saved."""

    def __init__(self, step: int) -> None:
        self.step = step

    def advance(self, done: int, total: int | None = None, note: str = "") -> None:
        if note and done == self.step:
            raise Killed

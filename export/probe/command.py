"""Running the command-line tools that talk to phones."""

import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from retrieval.spec.errors import ProbeError


class Answer(NamedTuple):
    """What a tool said."""

    status: int
    output: bytes
    errors: str

    @property
    def text(self) -> str:
        """Standard output as text, with plain line ends."""
        return self.output.decode("utf-8", "replace").replace("\r\n", "\n")

    @property
    def said(self) -> str:
        """Its complaint: the last line on standard error, or else of its output."""
        lines = [line.strip() for line in (self.errors or self.text).splitlines()]
        return next((line for line in reversed(lines) if line), f"status {self.status}")


def call(command: Sequence[str], *, seconds: float, advice: str) -> Answer:
    """Run a tool to its end.

    Args:
        command: Its name and arguments.
        seconds: How long it may take.
        advice: How to install it.

    Raises:
        ProbeError: It is not installed, or did not end.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError as error:
        raise ProbeError(f"{command[0]} is not on the PATH: {advice}") from error
    except subprocess.TimeoutExpired as error:
        raise ProbeError(
            f"{' '.join(command[:4])} did not answer within {seconds:.0f} seconds: "
            "reconnect the phone, keep it unlocked, and try again"
        ) from error
    return Answer(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))

"""The commands of a page: read, checked against what they call, and run.

A block of commands is fenced as ``sh``, or not named and begins with one of ours. A comment that
begins with ``needs`` marks what a test cannot run, and tells readers the same: as first line
it marks the whole block, behind a command that one.

    # needs a phone
    leanclip probe my-bundle --device android
"""

import glob
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs.fences import Fence, fences

OURS = ("leanclip", "torchrun")

_NEEDS = re.compile(r"#\s*needs\b")
_BETWEEN = frozenset({"&&", "|", ";", "&"})


@dataclass(frozen=True)
class Command:
    """One program call of a page.

    Attributes:
        words: The program and its arguments, as a shell would split them.
        marked: Whether the page says that it needs something which a test does not have.
        fence: Where it stands.
    """

    words: tuple[str, ...]
    marked: bool
    fence: Fence

    def __str__(self) -> str:
        return f"{self.fence.page.name}:{self.fence.line}: {shlex.join(self.words)}"

    @property
    def expanded(self) -> list[str]:
        """The words with ``~`` and patterns of file names replaced."""
        found = []
        for word in self.words:
            home = os.path.expanduser(word)  # noqa: PTH111  (a word need not be a path)
            matches = sorted(glob.glob(home)) if "*" in home else []  # noqa: PTH207
            found += matches or [home]
        return found


def commands(page: Path) -> list[Command]:
    """Every command of a page, in order."""
    return [command for fence in fences(page) for command in commands_of(fence)]


def commands_of(fence: Fence) -> Iterator[Command]:
    """The commands of a block; none if it holds something else."""
    unnamed = not fence.language and fence.text.startswith(tuple(f"{name} " for name in OURS))
    if fence.language != "sh" and not unnamed:
        return
    lines = fence.text.replace("\\\n", " ").splitlines()
    whole = bool(lines) and _NEEDS.match(lines[0]) is not None
    for line in lines:
        marked = whole or _NEEDS.search(line) is not None
        words: list[str] = []
        for token in [*_split(line), ";"]:
            if token not in _BETWEEN:
                words.append(token)
            elif words:
                yield Command(tuple(words), marked, fence)
                words = []


def _split(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;")
    lexer.whitespace_split = True
    return list(lexer)

"""What stands in the fenced blocks of a page."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1``` *$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_FILE = re.compile(r"# ([\w./-]+\.\w+)\n")


@dataclass(frozen=True)
class Fence:
    """One block.

    Attributes:
        language: Behind the opening backticks; may be empty.
        text: What is in it, without the indentation of the block.
        heading: The last heading before it.
        page: Where it stands.
        line: Of its first line there, from 1.
    """

    language: str
    text: str
    heading: str
    page: Path
    line: int

    @property
    def file(self) -> str | None:
        """The file that its first line names in a comment, such as ``# my-photos.yaml``."""
        named = _FILE.match(self.text)
        return named[1] if named else None


def fences(page: Path) -> list[Fence]:
    """All blocks of a page in order."""
    text = page.read_text("utf-8")
    found = []
    for match in _FENCE.finditer(text):
        indent, language, body = match.groups()
        lines = [line.removeprefix(indent) for line in body.splitlines(keepends=True)]
        before = text[: match.start()]
        headings = _HEADING.findall(_FENCE.sub("", before))
        found.append(
            Fence(
                language=language,
                text="".join(lines),
                heading=headings[-1] if headings else "",
                page=page,
                line=before.count("\n") + 2,
            )
        )
    return found

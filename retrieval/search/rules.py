"""The rules by which a folder of photos is read."""

import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from retrieval.spec.base import Spec
from retrieval.spec.errors import CatalogError, QueryError

Matcher = Callable[[str], bool]


class ScanRules(Spec):
    """Which files below a folder are read; stored with the folder, so that each later run follows.

    Patterns are those of ``.gitignore``, matched against the path relative to the indexed
    folder: ``*.png`` anywhere, ``/scans`` only at the top, ``raw/`` folders of that name
    and all they hold, ``2019/**/draft-*``; ``!`` takes an exclusion back, but not inside a
    folder that is excluded itself.
    """

    include: tuple[str, ...] = ()
    """Only photos that one of these matches; all when empty."""
    exclude: tuple[str, ...] = ()
    """Photos and folders that are left out, even if they are included."""
    hidden: bool = False
    """Also files and folders whose name begins with a dot."""
    follow_links: bool = False
    """Also folders that symbolic links lead to, each once."""
    one_file_system: bool = False
    """Stay on the file system that the indexed folder is on."""
    companions: bool = False
    """Also RAW files and Live Photos' videos that a JPEG or HEIC of the same name stands for."""
    minimum_bytes: Annotated[int, Field(ge=0)] = 0
    """Leave out smaller files, such as icons."""

    @classmethod
    def from_json(cls, stored: str, folder: Path) -> "ScanRules":
        """The rules that `model_dump_json` wrote for ``folder``.

        Raises:
            CatalogError: They are those of a newer leanclip, or damaged.
        """
        try:
            return cls.model_validate_json(stored)
        except ValidationError as error:
            raise CatalogError(
                f"the rules of {folder} cannot be read; give them again: leanclip index {folder}"
            ) from error

    def check(self) -> None:
        """Refuse patterns that cannot be understood.

        Raises:
            QueryError: A pattern is malformed.
        """
        _ = self._is_included, self._is_excluded

    def reads(self, relative: str) -> bool:
        """Whether a photo is read, given that its folder is entered and it is large enough.

        Args:
            relative: Its path from the indexed folder, with ``/`` on every system.
        """
        return (
            (self.hidden or not _is_hidden(relative))
            and (self._is_included is None or self._is_included(relative))
            and (self._is_excluded is None or not self._is_excluded(relative))
        )

    def enters(self, relative: str) -> bool:
        """Whether a folder is looked into, given that the one that holds it is."""
        if _is_hidden(relative) and not self.hidden:
            return False
        return self._is_excluded is None or not self._is_excluded(f"{relative}/")

    def reaches(self, relative: str) -> bool:
        """Whether every folder on the way to ``relative`` is entered."""
        parents = relative.split("/")[:-1]
        return all(self.enters("/".join(parents[: i + 1])) for i in range(len(parents)))

    @cached_property
    def _is_included(self) -> Matcher | None:
        return _matcher(self.include)

    @cached_property
    def _is_excluded(self) -> Matcher | None:
        return _matcher(self.exclude)


def _is_hidden(relative: str) -> bool:
    return relative.rpartition("/")[2].startswith(".")


def _matcher(patterns: tuple[str, ...]) -> Matcher | None:
    if not patterns:
        return None
    # Only needed, and only paid for, by folders that have patterns.
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(patterns).match_file
    except (ValueError, re.error) as error:
        shown = ", ".join(patterns)
        raise QueryError(f"cannot understand the patterns {shown}: {error}") from error

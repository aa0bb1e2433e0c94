"""What an indexing run tells: how far it is, and in the end what it did."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """How far an indexing run has come; what is done is committed."""

    done: int
    """Photos finished in this run, skipped ones among them."""
    total: int
    """Photos that this run has to read."""
    skipped: int


Progress = Callable[[IndexProgress], None]


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What one run found and did."""

    added: int
    """New photos, and known ones that this model had not seen."""
    changed: int
    removed: int
    unchanged: int
    skipped: list[tuple[Path, str]]
    """Every file of the folder that cannot be searched, and why; earlier finds included."""
    seconds: float
    moved: int = 0
    """Known photos under a new name or in a new place; nothing was encoded for them."""
    reused: int = 0
    """Of ``added`` and ``changed``, how many are copies and took a known photo's vector."""
    companions: int = 0
    """RAW files and Live Photos' videos that were left out, as a photo stands for them."""

    @property
    def photos(self) -> int:
        """Photos of the folder that can be searched now."""
        return self.added + self.changed + self.moved + self.unchanged

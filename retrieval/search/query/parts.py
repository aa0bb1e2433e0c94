"""The parts of a query, as the search takes them."""

from dataclasses import dataclass, field
from pathlib import Path

from retrieval.catalog.filters import PhotoFilter


@dataclass(frozen=True, slots=True)
class Sentence:
    """Photos that show what a sentence says."""

    text: str


@dataclass(frozen=True, slots=True)
class Example:
    """Photos that look like a photo."""

    path: Path


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that photos should show, or should not."""

    content: Sentence | Example
    weight: float = 1.0
    """How much it counts; negative leads away from it."""


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for: terms are added up by weight, photos that fail the filter left out."""

    terms: tuple[Term, ...] = ()
    """None, when only the filter is asked for."""
    filter: PhotoFilter = field(default_factory=PhotoFilter)

"""What is asked: the queries of ``queries.yaml``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from figures import HERE

QUERIES = HERE / "by_eye" / "queries.yaml"


@dataclass(frozen=True, slots=True)
class Question:
    """One query.

    Attributes:
        query: What is searched for.
        asks_for: What it asks of a model, such as numbers.
        sample: Names of the sample photos that fit; all others do not.
        turned: A query of nearly the same words and another meaning.
    """

    query: str
    asks_for: str
    sample: frozenset[str]
    turned: str | None = None


def read_questions(path: Path = QUERIES) -> list[Question]:
    """All queries in the order of the file."""
    groups: list[dict[str, Any]] = yaml.safe_load(path.read_text("utf-8"))
    return [
        Question(one["ask"], group["asks_for"], frozenset(one["sample"]), one.get("turned"))
        for group in groups
        for one in group["queries"]
    ]

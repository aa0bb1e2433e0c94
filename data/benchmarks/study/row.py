"""What a row of the study says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retrieval.spec.tower import Tower

Changes = Mapping[str, Any]

IMAGE_1, TEXT_1, IMAGE_2, TEXT_2 = "image 1", "text 1", "image 2", "text 2"
STAGES = (IMAGE_1, TEXT_1, IMAGE_2, TEXT_2)

BASE = "ablation/stages 1 and 2"


@dataclass(frozen=True)
class On:
    """A stage of the base recipe by name, with entries that replace or extend its own.

    Mappings are merged; ``losses``, ``multipliers`` and ``prune`` are replaced as they are,
    and None takes an entry out.
    """

    stage: str
    changes: Changes = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One training of the study.

    Attributes:
        group: What it is compared within.
        name: Unique in its group.
        stages: In order; a mapping is a whole stage of its own.
        parent: ``group/name`` of the row whose result it goes on from.
        fresh: The tower that starts anew, by the recipe's ``student``; the other one, and
            the map to the teacher's space, are the parent's.
        recipe: Changes of the base recipe, merged.
        seeds: Trained once with each.
        baseline: Row of the same group that it is measured against; by default the group's.
        zeros: Share of weights that are zero, for sparse bytes and the plot of criteria.
        criterion: Line of the plot of criteria.
        reported: Whether it stands in tables, or is only gone on from.
    """

    group: str
    name: str
    stages: tuple[On | Changes, ...]
    parent: str | None = None
    fresh: Tower | None = None
    recipe: Changes = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    baseline: str | None = None
    zeros: float | None = None
    criterion: str | None = None
    reported: bool = True

    @property
    def key(self) -> str:
        """``group/name``."""
        return f"{self.group}/{self.name}"

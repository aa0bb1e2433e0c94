"""What a search has measured so far, kept so that another search need not do it again."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from retrieval.compress.fit.evolve import Genome
from retrieval.spec.errors import RecipeError
from retrieval.spec.files import write_json

Kind = Literal["milliseconds", "recall"]


class Findings:
    """Milliseconds and recall of shapes, in a JSON file that is written after each.

    Args:
        path: The file; figures in it are used if they were found under the same conditions.
        conditions: For each kind of figure, what it depends on beside the shape.

    Raises:
        RecipeError: The file is something else.
    """

    def __init__(self, path: Path, conditions: Mapping[Kind, Mapping[str, Any]]) -> None:
        self._path = path
        self._conditions = {kind: dict(value) for kind, value in conditions.items()}
        self._known: dict[Kind, dict[str, float]] = {kind: {} for kind in conditions}
        if path.exists():
            self._load()

    def get(self, kind: Kind, genome: Genome, find: Callable[[], float]) -> float:
        """A known figure, or one that ``find`` gives and that is then stored."""
        key = " ".join(map(str, genome))
        if key not in self._known[kind]:
            self._known[kind][key] = find()
            write_json(self._path, {"conditions": self._conditions, **self._known})
        return self._known[kind][key]

    def _load(self) -> None:
        try:
            stored = json.loads(self._path.read_text("utf-8"))
            for kind, conditions in self._conditions.items():
                # Through JSON, as tuples come back as lists.
                if stored["conditions"][kind] == json.loads(json.dumps(conditions)):
                    self._known[kind] = {key: float(one) for key, one in stored[kind].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RecipeError(
                f"{self._path} holds no measurements; delete it or choose another --out"
            ) from error

"""From rows to recipes: who goes on from whom, and what names a result."""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from study.row import STAGES, On, Row

from retrieval.compress.recipe import Recipe, make_recipe
from retrieval.spec.errors import RecipeError
from retrieval.spec.files import sha256_json
from retrieval.spec.model import ModelConfig

_WHOLE = ("losses", "multipliers", "prune", "quantise", "text_layers", "backbones")
"""Entries that a change replaces rather than extends."""

Value = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One row with one seed.

    Attributes:
        row: What is trained.
        seed: Of the recipe.
        parent: What it goes on from.
        sha256: Names the recipe, its parent's, and the teacher: all that decides the result.
    """

    row: Row
    seed: int
    parent: "Job | None"
    sha256: str

    @property
    def key(self) -> tuple[str, str, int]:
        """Group, row and seed."""
        return self.row.group, self.row.name, self.seed

    @property
    def title(self) -> str:
        """``group/name``, with the seed where there are several."""
        return self.row.key + (f", seed {self.seed}" if len(self.row.seeds) > 1 else "")

    def folder(self, out: Path) -> Path:
        """Where its run lies; a changed recipe has another."""
        plain = "".join(c if c.isalnum() else "-" for c in self.title)
        return out / f"{plain}-{self.sha256[:8]}"


@dataclass(frozen=True)
class Base:
    """The recipe that all rows change.

    Attributes:
        value: As YAML gave it.
        folder: Where its relative paths count from.
        teacher: Fingerprint of its teacher.
    """

    value: Value
    folder: Path
    teacher: str

    @classmethod
    def read(cls, path: Path, teacher: str) -> "Base":
        """From a YAML file with the four stages that rows name."""
        value = yaml.safe_load(path.read_text("utf-8"))
        return cls(value, path.parent, teacher)


def merged(value: Any, changes: Any) -> Any:
    """``value`` with ``changes``; mappings are merged, None takes an entry out."""
    if not isinstance(value, Mapping) or not isinstance(changes, Mapping):
        return copy.deepcopy(changes)
    result = dict(copy.deepcopy(value))
    for name, change in changes.items():
        if change is None:
            result.pop(name, None)
        elif name in result and name not in _WHOLE:
            result[name] = merged(result[name], change)
        else:
            result[name] = copy.deepcopy(change)
    return result


def recipe_value(base: Base, row: Row, seed: int) -> Value:
    """The recipe of a row as data, before it is told where its parent's result lies."""
    value = merged({**base.value, "stages": []}, row.recipe)
    value["name"], value["seed"] = row.name, seed
    known = dict(zip(STAGES, base.value["stages"], strict=True))
    value["stages"] = [
        merged(known[one.stage], one.changes) if isinstance(one, On) else dict(one)
        for one in row.stages
    ]
    return value


def fresh_recipe(base: Base, job: Job, parent: ModelConfig | None = None) -> Recipe:
    """The recipe of a row that starts anew, or whose one tower does.

    Args:
        base: The common recipe.
        job: The row.
        parent: Shape of what brings the other tower, which is not started anew.
    """
    value = recipe_value(base, job.row, job.seed)
    if job.row.fresh == "text":
        value["student"]["start"].pop("image_weights", None)
    if parent is not None:
        other = "image" if job.row.fresh == "text" else "text"
        value["student"][other] = parent.model_dump(mode="json")[other]
    return make_recipe(value, origin=job.title, base=base.folder)


def continuing_recipe(base: Base, job: Job, checkpoint: Path, config: ModelConfig) -> Recipe:
    """The recipe of a row that goes on from a checkpoint, whatever its shape."""
    value = recipe_value(base, job.row, job.seed)
    shape = config.model_dump(mode="json")
    frozen = value["student"]["start"].get("freeze_token_embedding", False)
    value["student"] |= {part: shape[part] for part in ("embedding_dim", "image", "text")}
    value["student"]["start"] = {"checkpoint": str(checkpoint), "freeze_token_embedding": frozen}
    value["student"]["vocabulary"] = {"context_length": shape["tokens"]["context_length"]}
    return make_recipe(value, origin=job.title, base=base.folder)


def plan(rows: Iterable[Row], base: Base) -> list[Job]:
    """One job for each row and seed, parents first.

    Raises:
        RecipeError: A row's parent is not among those before it.
    """
    jobs: dict[tuple[str, int], Job] = {}
    for row in rows:
        for seed in row.seeds:
            parent = None
            if row.parent is not None:
                parent = jobs.get((row.parent, seed)) or jobs.get((row.parent, 0))
                if parent is None:
                    raise RecipeError(f"{row.key} goes on from {row.parent}, which is no row above")
            if (row.key, seed) in jobs:
                raise RecipeError(f"two rows are called {row.key}")
            jobs[row.key, seed] = Job(row, seed, parent, _sha256(base, row, seed, parent))
    return list(jobs.values())


def _sha256(base: Base, row: Row, seed: int, parent: Job | None) -> str:
    return sha256_json(
        {
            # A row's name and group change nothing that it computes.
            "recipe": {**recipe_value(base, row, seed), "name": None},
            "fresh": row.fresh,
            "teacher": base.teacher,
            "parent": parent and parent.sha256,
        }
    )


def chosen(jobs: Sequence[Job], only: Sequence[str]) -> list[Job]:
    """Jobs whose ``group/name`` starts with one of ``only``, and all that they go on from.

    Raises:
        RecipeError: A prefix fits no row.
    """
    if not only:
        return list(jobs)
    for prefix in only:
        if not any(job.row.key.startswith(prefix) for job in jobs):
            raise RecipeError(f"--only {prefix}: no row is called so; see --list")
    wanted = {
        one.key
        for job in jobs
        if job.row.key.startswith(tuple(only))
        for one in (job, *ancestors(job))
    }
    return [job for job in jobs if job.key in wanted]


def ancestors(job: Job) -> Iterator[Job]:
    """Its parent, the parent's parent and so on."""
    while job.parent is not None:
        job = job.parent
        yield job

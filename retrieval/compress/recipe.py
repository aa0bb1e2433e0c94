"""Recipes: everything a run needs, as validated data that is kept beside its result."""

from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, PrivateAttr, ValidationError, model_validator

from retrieval.compress.complaints import first_complaint
from retrieval.compress.data.settings import Decoded, Reinforcement
from retrieval.compress.requirements import require, require_start
from retrieval.compress.stages.settings import Average, Stage
from retrieval.compress.start.settings import STOCK, Student
from retrieval.models.sparse.storage import Storage
from retrieval.spec.base import Spec
from retrieval.spec.errors import RecipeError
from retrieval.spec.files import sha256_json


class Data(Spec):
    """What to learn from; photos and sentences need not belong together."""

    photos: tuple[Path, ...] = ()
    """Folders of photos, or webdataset shards (``photos-{000..003}.tar``), for stage 1."""
    sentences: tuple[Path, ...] = ()
    """Text files, one sentence a line, for stage 1."""
    pairs: tuple[Path, ...] = ()
    """Captioned photos (JSON lines or webdataset shards) for stage 2; stage 1 uses both sides
    of them too."""
    captions: tuple[Path, ...] = ()
    """JSON lines of captions that describe the same photo, which need not be here, to pretrain
    the text tower."""
    dev: Path | None = None
    """Captioned photos that choose the best epoch; never a test split."""
    reinforcement: Reinforcement | None = None
    """Teach views of photos whose teacher embeddings are cached, rather than whole photos."""
    decoded: Decoded | None = None
    """Decode photos once and keep their pixels while the run lasts: for large files."""


class Recipe(Spec):
    """A compression run, top to bottom."""

    name: str
    seed: int = 0
    teacher: str | tuple[str, ...] | None = None
    """``open_clip:MODEL/PRETRAINED``, ``hf:ORG/NAME``, a checkpoint or a bundle, or a list of
    several, whose lessons are averaged. Not needed without distillation."""
    student: Student
    data: Data
    stored_as: Storage = Storage()
    """Type and layout of the weights in the checkpoints; ``fp16`` halves the bytes, a sparse
    layout shrinks what unstructured pruning has zeroed."""
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _has_what_stages_need(self) -> Self:
        for number, stage in enumerate(self.stages):
            require(stage, self, f"stages.{number}")
        require_start(self)
        return self

    @property
    def teachers(self) -> tuple[str, ...]:
        """All teachers, however many the recipe names."""
        if self.teacher is None:
            return ()
        return (self.teacher,) if isinstance(self.teacher, str) else self.teacher

    _as_written: str = PrivateAttr("")
    _validated: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def as_written(self) -> str:
        """The YAML text that the recipe came from, kept beside its result."""
        return self._as_written

    @property
    def validated(self) -> dict[str, Any]:
        """The recipe as JSON-compatible data with all defaults and with paths as written.

        So it is the same from whichever folder it is run.
        """
        return self._validated or self.model_dump(mode="json")

    @property
    def sha256(self) -> str:
        """Hash of `validated`."""
        return sha256_json(self.validated)


def load_recipe(path: Path, *, seed: int | None = None) -> Recipe:
    """Read a recipe; its relative paths count from the recipe's own folder.

    Args:
        path: A YAML file.
        seed: In place of the recipe's own; the recipe's name then says so, and with it the
            folder of the run.

    Raises:
        RecipeError: The file is missing, is not YAML, or an entry is unknown, of the wrong
            type or in conflict with another; the message names the entry.
    """
    try:
        text = path.read_text("utf-8")
        value = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read recipe {path}: {error}") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    recipe = make_recipe(value, origin=str(path), base=path.parent, text=text)
    if seed is None:
        return recipe
    # What is kept beside the result then cannot be the text, whose seed is another.
    other = recipe.validated | {"name": f"{recipe.name}-seed{seed}", "seed": seed}
    return make_recipe(other, origin=str(path), base=path.parent)


def make_recipe(value: Any, *, origin: str, base: Path, text: str | None = None) -> Recipe:
    """Validate a recipe given as plain data.

    Args:
        value: What YAML gave.
        origin: Where it came from, for error messages.
        base: Where relative paths count from.
        text: What to keep beside the result; by default ``value`` with all defaults.

    Raises:
        RecipeError: As `load_recipe`.
    """
    try:
        recipe = Recipe.model_validate(value)
    except ValidationError as error:
        raise RecipeError(f"{origin}: {first_complaint(error, Recipe, value)}") from error
    located = _with_paths_from(recipe, base)
    located._validated = recipe.model_dump(mode="json")
    located._as_written = text or yaml.safe_dump(located._validated, sort_keys=False)
    return located


def _with_paths_from(recipe: Recipe, base: Path) -> Recipe:
    data = recipe.data
    located_data = data.model_copy(
        update={
            "photos": tuple(base / path for path in data.photos),
            "sentences": tuple(base / path for path in data.sentences),
            "pairs": tuple(base / path for path in data.pairs),
            "captions": tuple(base / path for path in data.captions),
            "dev": base / data.dev if data.dev else None,
        }
    )
    teachers = tuple(_teacher_from(base, teacher) for teacher in recipe.teachers)
    teacher = teachers[0] if isinstance(recipe.teacher, str) else teachers or None
    student = recipe.student.located(base)
    stages = tuple(
        stage.located(base) if isinstance(stage, Average) else stage for stage in recipe.stages
    )
    changed = {"data": located_data, "student": student, "teacher": teacher, "stages": stages}
    return recipe.model_copy(update=changed)


def _teacher_from(base: Path, teacher: str) -> str:
    is_name = teacher == "default" or teacher.startswith(STOCK)
    return teacher if is_name else str(base / teacher)

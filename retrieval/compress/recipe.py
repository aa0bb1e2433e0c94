"""Recipes: everything a run needs, as validated data that is kept beside its result."""

from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, PrivateAttr, ValidationError, model_validator

from retrieval.compress.complaints import first_complaint
from retrieval.compress.prune.settings import Prune
from retrieval.compress.stages.settings import Distil, Stage, Tower, TrainingStage
from retrieval.compress.start.settings import Student
from retrieval.models.sparse.storage import Storage
from retrieval.spec.base import Spec
from retrieval.spec.errors import RecipeError
from retrieval.spec.files import sha256_json
from retrieval.spec.model import VitTower

OPEN_CLIP = "open_clip:"
"""What the name of a teacher from open_clip starts with."""

# The closed-form start inverts a square matrix of this size: 2 GB in double precision.
_LARGEST_CORRELATED = 16_384


class Data(Spec):
    """What to learn from; photos and sentences need not belong together."""

    photos: tuple[Path, ...] = ()
    """Folders of photos for stage 1."""
    sentences: tuple[Path, ...] = ()
    """Text files, one sentence a line, for stage 1."""
    pairs: tuple[Path, ...] = ()
    """Captioned photos (JSON lines) for stage 2; stage 1 uses both sides of them too."""
    dev: Path | None = None
    """Captioned photos that choose the best epoch; never a test split."""


class Recipe(Spec):
    """A compression run, top to bottom."""

    name: str
    seed: int = 0
    teacher: str | tuple[str, ...] | None = None
    """``open_clip:MODEL/PRETRAINED``, a checkpoint or a bundle, or a list of several, whose
    lessons are averaged. Not needed without distillation."""
    student: Student
    data: Data
    stored_as: Storage = Storage()
    """Type and layout of the weights in the checkpoints; ``fp16`` halves the bytes, a sparse
    layout shrinks what unstructured pruning has zeroed."""
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _has_what_stages_need(self) -> Self:
        for number, stage in enumerate(self.stages):
            _require(self, stage, f"stages.{number}")
        if self.student.start.canonical_correlation:
            if not self.data.pairs:
                raise ValueError("student.start.canonical_correlation needs data.pairs")
            size = self.student.vocabulary.size
            if size == "clip" or size > _LARGEST_CORRELATED:
                raise ValueError(
                    "student.start.canonical_correlation inverts a matrix of all tokens; set "
                    f"student.vocabulary.size to at most {_LARGEST_CORRELATED}, not {size}"
                )
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


def _require(recipe: Recipe, stage: Stage, place: str) -> None:
    """Refuse a stage that the recipe's data or teachers cannot serve."""
    if not isinstance(stage, TrainingStage):
        return
    data = recipe.data
    size = stage.training.augmentation.size
    is_vit = isinstance(recipe.student.image, VitTower)
    own_size = recipe.student.preprocessing.size
    if "image" in stage.towers and is_vit and size not in (None, own_size):
        raise ValueError(f"{place}.training.augmentation.size: a vit tower has one size; leave it")
    if stage.training.patience is not None and data.dev is None:
        raise ValueError(f"{place}.training.patience needs data.dev to measure progress on")
    if stage.prune is not None:
        _require_prune(stage.prune, stage.towers, data, place)
    led = stage.losses.needing("teacher")
    if led and not recipe.teachers:
        raise ValueError(f"{place}.losses.{led[0]} needs a teacher; name one or leave it out")
    if isinstance(stage, Distil):
        _require_items(data, stage.tower, place)
    elif not data.pairs:
        raise ValueError(f"{place}: {stage.stage} needs data.pairs")


def _require_prune(prune: Prune, towers: tuple[Tower, ...], data: Data, place: str) -> None:
    try:
        prune.budget_of(prune.towers_of(towers))
    except RecipeError as error:
        raise ValueError(f"{place}: {error}") from error
    if prune.importance.criterion == "ablation" and data.dev is None:
        raise ValueError(f"{place}.prune.importance: ablation needs data.dev to see recall drop")


def _require_items(data: Data, tower: str, place: str) -> None:
    kind = "photos" if tower == "image" else "sentences"
    if not getattr(data, kind) and not data.pairs:
        raise ValueError(f"{place}: distil of the {tower} tower needs data.{kind} or data.pairs")


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; its relative paths count from the recipe's own folder.

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
    return make_recipe(value, origin=str(path), base=path.parent, text=text)


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
    start = recipe.student.start
    located_data = data.model_copy(
        update={
            "photos": tuple(base / path for path in data.photos),
            "sentences": tuple(base / path for path in data.sentences),
            "pairs": tuple(base / path for path in data.pairs),
            "dev": base / data.dev if data.dev else None,
        }
    )
    located_start = start.model_copy(
        update={
            "image_weights": tuple(base / path for path in start.image_weights),
            "checkpoint": base / start.checkpoint if start.checkpoint else None,
        }
    )
    teachers = tuple(_teacher_from(base, teacher) for teacher in recipe.teachers)
    teacher = teachers[0] if isinstance(recipe.teacher, str) else teachers or None
    student = recipe.student.model_copy(update={"start": located_start})
    changed = {"data": located_data, "student": student, "teacher": teacher}
    return recipe.model_copy(update=changed)


def _teacher_from(base: Path, teacher: str) -> str:
    is_name = teacher == "default" or teacher.startswith(OPEN_CLIP)
    return teacher if is_name else str(base / teacher)

"""Whether a recipe's data, teachers and student can serve its stages."""

from typing import TYPE_CHECKING

from retrieval.compress.elastic.settings import Elastic
from retrieval.compress.prune.settings import Prune
from retrieval.compress.stages.settings import Distil, Pretrain, Stage, TrainingStage
from retrieval.compress.start.settings import LARGEST_CORRELATED
from retrieval.spec.errors import RecipeError
from retrieval.spec.model import VitTower
from retrieval.spec.tower import Tower

if TYPE_CHECKING:
    from retrieval.compress.recipe import Data, Recipe


def require(stage: Stage, recipe: "Recipe", place: str) -> None:
    """Refuse a stage that cannot work with the rest of its recipe.

    Args:
        stage: One of the recipe's.
        recipe: The whole.
        place: The stage's entry, for the message.

    Raises:
        ValueError: One line in the recipe's own words.
    """
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
    if stage.elastic is not None:
        _require_elastic(stage.elastic, stage.towers, data, place)
    led = stage.losses.needing("teacher")
    if led and not recipe.teachers:
        raise ValueError(f"{place}.losses.{led[0]} needs a teacher; name one or leave it out")
    if isinstance(stage, Pretrain):
        if not data.captions:
            raise ValueError(f"{place}: pretrain needs data.captions")
    elif isinstance(stage, Distil):
        _require_items(data, stage.tower, place)
    elif not data.pairs:
        raise ValueError(f"{place}: {stage.stage} needs data.pairs")


def require_start(recipe: "Recipe") -> None:
    """Refuse a start that the recipe's data or teachers cannot serve.

    Raises:
        ValueError: One line in the recipe's own words.
    """
    student = recipe.student
    if student.start.canonical_correlation:
        if not recipe.data.pairs:
            raise ValueError("student.start.canonical_correlation needs data.pairs")
        if (student.vocabulary.known_size or 0) > LARGEST_CORRELATED:
            raise ValueError(
                "student.start.canonical_correlation inverts a matrix of all tokens; set "
                f"student.vocabulary.size to at most {LARGEST_CORRELATED}, "
                f"not {student.vocabulary.size}"
            )
    if student.needs_teacher and not recipe.teachers:
        raise ValueError("student starts from the teacher, and the recipe names none")


def _require_prune(prune: Prune, towers: tuple[Tower, ...], data: "Data", place: str) -> None:
    try:
        prune.budget_of(prune.towers_of(towers))
    except RecipeError as error:
        raise ValueError(f"{place}: {error}") from error
    if prune.importance.criterion == "ablation" and data.dev is None:
        raise ValueError(f"{place}.prune.importance: ablation needs data.dev to see recall drop")


def _require_elastic(elastic: Elastic, towers: tuple[Tower, ...], data: "Data", place: str) -> None:
    try:
        elastic.towers_of(towers)
    except RecipeError as error:
        raise ValueError(f"{place}: {error}") from error
    if elastic.importance.criterion == "ablation" and data.dev is None:
        raise ValueError(f"{place}.elastic.importance: ablation needs data.dev to see recall drop")


def _require_items(data: "Data", tower: str, place: str) -> None:
    kind = "photos" if tower == "image" else "sentences"
    if not getattr(data, kind) and not data.pairs:
        raise ValueError(f"{place}: distil of the {tower} tower needs data.{kind} or data.pairs")

"""What earlier runs of a recipe have finished, as far as their folder tells."""

import json
from pathlib import Path
from typing import Any

import yaml

from retrieval.compress.loop.log import LOG
from retrieval.compress.loop.state import STATE
from retrieval.compress.recipe import Recipe, make_recipe
from retrieval.compress.runner import stage_name
from retrieval.models.checkpoint import METRICS, RECIPE
from retrieval.spec.errors import RecipeError


def finished_stages(recipe: Recipe, folder: Path) -> int:
    """How many stages have left a checkpoint of this very recipe, from the first on.

    The recipe beside each checkpoint is compared. That a local teacher, or a checkpoint to
    average with, has changed since is noticed by the run alone, which then starts again.
    """
    done = 0
    while done < len(recipe.stages):
        stage = folder / stage_name(recipe, done)
        if not (stage / METRICS).is_file() or _up_to(recipe, done) != _recorded(stage, done):
            return done
        done += 1
    return done


def steps_taken(recipe: Recipe, number: int, folder: Path) -> int:
    """Steps of a stage whose state an earlier run has saved."""
    work = folder / f".{stage_name(recipe, number)}"
    if not (work / STATE).is_file() or not (work / LOG).is_file():
        return 0
    lines = (work / LOG).read_text("utf-8").splitlines()
    return max((_step(line) for line in lines), default=0)


def _step(line: str) -> int:
    try:
        step: int = json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):  # a line that a killed run has half written
        return 0
    return step


def _up_to(recipe: Recipe, number: int) -> dict[str, Any]:
    """What the result of a stage depends on: the whole recipe but later stages."""
    values = dict(recipe.validated)
    return values | {"stages": values["stages"][: number + 1]}


def _recorded(stage: Path, number: int) -> dict[str, Any] | None:
    try:
        text = (stage / RECIPE).read_text("utf-8")
        recipe = make_recipe(yaml.safe_load(text), origin=str(stage / RECIPE), base=stage)
    except (OSError, ValueError, yaml.YAMLError, RecipeError):
        return None
    return _up_to(recipe, number)

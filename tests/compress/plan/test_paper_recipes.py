"""Every recipe of the repository is read and refused or accepted here, none is run."""

from pathlib import Path

import pytest

from retrieval.compress.recipe import load_recipe
from retrieval.compress.stages.settings import Distil, Finetune
from retrieval.spec.model import TimmTower

RECIPES = Path(__file__).parents[3] / "data" / "recipes"
ALL = sorted(RECIPES.rglob("*.yaml"))
PAPER = sorted((RECIPES / "paper").glob("*.yaml"))


def name_of(path: Path) -> str:
    return path.relative_to(RECIPES).as_posix()


@pytest.mark.parametrize("path", ALL, ids=name_of)
def test_every_recipe_is_valid(path: Path) -> None:
    assert load_recipe(path).stages


def test_there_is_a_recipe_of_each_student_on_each_data_set() -> None:
    names = {path.stem for path in PAPER}
    assert names == {
        f"{data}-{student}"
        for data in ("coco", "flickr30k")
        for student in ("vit", "mobilenetv4", "fastvit")
    }


@pytest.mark.parametrize("path", PAPER, ids=name_of)
def test_stages_are_those_of_the_paper(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == f"paper-{path.stem}"
    assert recipe.teachers == ("open_clip:ViT-B-32/openai",)
    first, second, third, fourth = recipe.stages
    assert isinstance(first, Distil)
    assert isinstance(second, Distil)
    assert isinstance(third, Finetune)
    assert isinstance(fourth, Finetune)
    assert [stage.towers for stage in recipe.stages] == [("image",), ("text",)] * 2
    for stage in (third, fourth):
        named = (stage.losses.pairs, stage.losses.affinity, stage.losses.hard_negatives)
        assert [loss.weight for loss in named if loss is not None] == [1, 1, 1]


@pytest.mark.parametrize("path", PAPER, ids=name_of)
def test_weights_that_a_recipe_starts_from_exist(path: Path) -> None:
    import timm

    student = load_recipe(path).student
    assert isinstance(student.image, TimmTower)
    for backbone, source in zip(student.image.backbones, student.start.image_weights, strict=True):
        name = source.removeprefix("timm:")
        assert timm.is_model_pretrained(name)
        assert name.split(".")[0] == backbone.name
        assert timm.get_pretrained_cfg(name).mean == student.preprocessing.mean
        assert timm.get_pretrained_cfg(name).std == student.preprocessing.std

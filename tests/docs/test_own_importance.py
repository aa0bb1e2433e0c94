import pytest
import torch
import yaml

from retrieval.compress.importance.importance import Context
from retrieval.compress.prune.settings import Prune
from retrieval.models.surgery.find import find_groups
from retrieval.spec.errors import RecipeError
from tests.docs.examples import run_example
from tests.docs.fences import ROOT, fences
from tests.tiny import tiny_model

PAGE = ROOT / "docs" / "how-to" / "own-importance.md"


def test_the_importance_of_the_page_finds_the_unit_that_others_can_replace() -> None:
    file, listed, recipe = (fence.text for fence in fences(PAGE))
    distance = run_example(PAGE, file)["Distance"]
    assert "| Distance" in listed
    prune = yaml.safe_load(recipe)["prune"]
    settings = distance.model_validate({"criterion": prune["importance"]})
    assert Prune.model_validate({**prune, "importance": "random"})

    model = tiny_model()
    group = find_groups(model, "neuron", "text")[0]
    with torch.no_grad():
        for member in group.members:
            # All neurons but one are pairs of opposite ones; the last lies in their middle.
            rows = member.parameter.movedim(member.dim, 0)
            rows[1::2] = -rows[::2]
            rows[-1] = 0
    scores = settings.start(Context(groups=[group], model=model, keep=0.5, total=1)).scores()
    assert scores[group.name].shape == (group.units,)
    assert scores[group.name].argmin() == group.units - 1


@pytest.mark.parametrize("granularity", ["head", "layer", "hidden"])
def test_it_scores_every_kind_of_unit_of_a_transformer(granularity: str) -> None:
    distance = run_example(PAGE, fences(PAGE)[0].text)["Distance"]
    model = tiny_model()
    groups = find_groups(model, granularity, "text")
    scores = distance().start(Context(groups=groups, model=model, keep=0.5, total=1)).scores()
    assert {name: len(one) for name, one in scores.items()} == {
        group.name: group.units for group in groups
    }


def test_it_refuses_single_weights() -> None:
    distance = run_example(PAGE, fences(PAGE)[0].text)["Distance"]
    model = tiny_model()
    groups = find_groups(model, "weight", "text")
    with pytest.raises(RecipeError, match="not single weights"):
        distance().start(Context(groups=groups, model=model, keep=0.5, total=1))

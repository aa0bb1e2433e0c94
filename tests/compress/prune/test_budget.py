from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from retrieval.compress.prune.budget import Budget, fit, require_sparsity, stored_bytes
from retrieval.compress.prune.ledger import Ledger
from retrieval.compress.prune.meter import SteadyMeter
from retrieval.compress.prune.select import rank
from retrieval.compress.prune.settings import Prune
from retrieval.spec.errors import RecipeError
from tests.compress.prune.units import rows
from tests.tiny import tiny_model, tiny_tokenizer


@pytest.mark.parametrize(
    ("value", "limit"),
    [
        ({"sparsity": 0.6}, 0.6),
        ({"parameters": "5M"}, 5_000_000),
        ({"parameters": "1.5 m"}, 1_500_000),
        ({"parameters": "5_000_000"}, 5_000_000),
        ({"parameters": 5e6}, 5_000_000),
        ({"parameters": 700}, 700),
        ({"bytes": "10MB"}, 10_000_000),
        ({"bytes": "2 MiB", "stored_as": "int8"}, 2_097_152),
        ({"ms": 2, "tower": "text"}, 2.0),
    ],
)
def test_quantities_as_people_write_them(value: dict[str, Any], limit: float) -> None:
    assert Budget.model_validate(value).limit == limit


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({}, "needs one of sparsity, parameters, bytes, ms, not none"),
        ({"sparsity": 0.5, "ms": 2}, "not sparsity and ms"),
        ({"sparsity": 1.0}, "less than 1"),
        ({"sparsity": 0}, "greater than 0"),
        ({"sparsity": 0.5, "tower": "text"}, "leave tower out"),
        ({"parameters": "five"}, "such as 5M"),
        ({"parameters": "5MB"}, "such as 5M"),
        ({"parameters": 1.5}, "int"),
        ({"bytes": "10 pounds"}, "such as 10MB"),
        ({"parameters": 5, "stored_as": "int8"}, "stored_as belongs to bytes"),
        ({"bytes": 5, "target": "phone"}, "target belongs to ms"),
    ],
)
def test_budgets_that_say_too_much_or_too_little(value: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Budget.model_validate(value)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"granularity": "hidden"}, "one_shot"),
        ({"granularity": "hidden", "schedule": {"kind": "one_shot", "at": 0.5}}, "one_shot"),
        ({"granularity": ["weight", "head"]}, "weight cannot be mixed"),
        ({"granularity": ["head", "hidden"], "schedule": "one_shot"}, "hidden cannot be mixed"),
        ({"granularity": "weight", "budget": {"parameters": 5}}, "set budget.sparsity"),
        ({"granularity": "weight", "budget": {"ms": 5}}, "as many ms as before"),
        ({"granularity": ["head", "head"]}, "granularity names something twice"),
        ({"granularity": []}, "at least 1"),
        (
            {"budget": {"ms": 1, "tower": "text"}, "towers": ["image"]},
            "limits the text tower alone",
        ),
        ({"towers": ["text", "text"]}, "towers names something twice"),
        ({"schedul": "cubic"}, "schedul"),
    ],
)
def test_settings_that_cannot_work(value: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Prune.model_validate({"budget": {"sparsity": 0.5}, **value})


def test_short_forms_of_settings() -> None:
    settings = Prune.model_validate(
        {
            "granularity": "head",
            "towers": "text",
            "importance": "platon",
            "schedule": "one_shot",
            "budget": {"sparsity": 0.5},
        }
    )
    assert settings.granularity == ("head",)
    assert settings.towers == ("text",)
    assert settings.schedule.kind == "one_shot"
    assert settings.comparable == "group"
    assert Prune.model_validate(settings.model_dump(mode="json")) == settings


def test_the_tower_of_a_budget_must_be_clear() -> None:
    timed = Prune(budget=Budget(ms=2))
    assert timed.budget_of(("text",)).tower == "text"
    with pytest.raises(RecipeError, match=r"name it in prune\.budget\.tower"):
        timed.budget_of(("image", "text"))
    assert Prune(budget=Budget(ms=2, tower="text")).towers_of(("image", "text")) == ("text",)
    assert timed.towers_of(("image", "text")) == ("image", "text")
    with pytest.raises(RecipeError, match=r"budget\.tower names text, which the stage does not"):
        Prune(budget=Budget(ms=2, tower="text")).towers_of(("image",))
    with pytest.raises(RecipeError, match="the stage does not train"):
        Prune(towers=("image",), budget=Budget(ms=2)).towers_of(("text",))


def test_bytes_of_weights_by_hand() -> None:
    module = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5))
    floats = 15 + 5 + 4 * 5
    batches_seen = 8
    assert stored_bytes(module, "fp32") == 4 * floats + batches_seen
    assert stored_bytes(module, "fp16") == 2 * floats + batches_seen
    assert stored_bytes(module, "int8") == 15 + 4 * 5 + 4 * (floats - 15) + batches_seen


def test_bisection_finds_what_trying_all_finds() -> None:
    groups = [rows("a", 9, 3, multiple=2), rows("b", 7, 5)]
    generator = torch.Generator().manual_seed(0)
    ranking = rank(groups, {g.name: torch.rand(g.units, generator=generator) for g in groups})
    ledger = Ledger(groups)
    counts = [ledger.surviving(ranking.keep(dropped)) for dropped in range(17)]
    for limit in range(min(counts), ledger.total + 1):
        best = max(count for count in counts if count <= limit)
        assert ledger.surviving(fit(ranking, ledger.surviving, limit)) == best


def test_a_budget_below_the_smallest_model_says_how_small_it_can_be() -> None:
    groups = [rows("a", 10, 100, least=2)]
    ranking = rank(groups, {"a": torch.arange(10.0)})
    with pytest.raises(RecipeError, match="parameters of 150 cannot be reached.* still 200;"):
        fit(ranking, Ledger(groups).surviving, 150, what="parameters")


def test_a_sparsity_that_empties_a_layer_says_what_is_possible() -> None:
    require_sparsity(0.9, 0.9)
    with pytest.raises(RecipeError, match=r"0\.95, which would leave a layer empty: at most 0\.94"):
        require_sparsity(0.95, 0.9406)


class Stopwatch:
    def __init__(self, *readings: float) -> None:
        self.readings = list(readings)

    def milliseconds(self, *_: Any) -> float:
        return self.readings.pop(0)


def test_each_shape_is_measured_once_and_the_median_counts() -> None:
    watch = Stopwatch(9.0, 1.0, 2.0, 5.0, 5.0, 5.0)
    meter = SteadyMeter(watch, repeats=3)
    model, tokenizer = tiny_model(), tiny_tokenizer()
    assert meter.milliseconds(model, tokenizer, "text") == 2.0
    assert meter.milliseconds(tiny_model(seed=1), tokenizer, "text") == 2.0
    assert meter.milliseconds(model, tokenizer, "image") == 5.0
    assert watch.readings == []

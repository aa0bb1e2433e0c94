import math

import pytest
import torch
from torch import nn

from retrieval.compress.loop.average import WeightAverage
from retrieval.compress.loop.optimiser import make_optimiser, set_learning_rate
from retrieval.compress.loop.settings import Training
from retrieval.compress.teaching.bridge import Bridge
from retrieval.spec.errors import RecipeError


class Task(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = nn.ModuleDict(
            {
                "image": nn.ModuleDict({"stem": nn.Linear(4, 4), "head": nn.Linear(4, 2)}),
                "text": nn.Linear(4, 2),
            }
        )
        self.log_scale = nn.Parameter(torch.tensor(0.0))
        self.bridge = Bridge(2, 4)


def rates(task: Task, settings: Training) -> dict[str, tuple[float, float]]:
    """Rate and decay of every parameter that is trained, at the peak of the schedule."""
    optimiser = make_optimiser(task, settings)
    set_learning_rate(optimiser, settings, 0, 1)
    found = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in optimiser.param_groups
        for parameter in group["params"]
    }
    return {name: found[id(p)] for name, p in task.named_parameters() if id(p) in found}


def test_the_longest_prefix_decides_and_zero_freezes() -> None:
    task = Task()
    settings = Training(
        learning_rate=1, warmup=1, multipliers={"image": 0.5, "image.stem": 0, "text.bias": 0.1}
    )
    found = {name: rate for name, (rate, _) in rates(task, settings).items()}
    assert found["model.image.head.weight"] == 0.5
    assert "model.image.stem.weight" not in found
    assert not task.model["image"]["stem"].weight.requires_grad
    assert found["model.text.bias"] == pytest.approx(0.1)
    assert found["model.text.weight"] == found["log_scale"] == 1


def test_vectors_and_the_bridge_do_not_decay() -> None:
    decays = {name: decay for name, (_, decay) in rates(Task(), Training(weight_decay=0.3)).items()}
    assert decays.pop("model.text.weight") == 0.3
    assert decays.pop("model.image.stem.weight") == decays.pop("model.image.head.weight") == 0.3
    assert set(decays.values()) == {0}
    assert any("bridge" in name for name in decays)


def test_a_prefix_that_trains_nothing_is_refused() -> None:
    with pytest.raises(RecipeError, match="no parameter in training starts with 'imgae'"):
        make_optimiser(Task(), Training(multipliers={"imgae": 0.5, "text": 1}))
    task = Task()
    task.model["image"].requires_grad_(False)
    with pytest.raises(RecipeError, match="starts with 'image'"):
        make_optimiser(task, Training(multipliers={"image": 0.5}))
    with pytest.raises(RecipeError, match="nothing to train"):
        make_optimiser(Task(), Training(multipliers={"": 0}))


def test_the_rate_rises_then_falls_to_zero() -> None:
    settings = Training(learning_rate=2, warmup=0.1)
    optimiser = make_optimiser(Task(), settings)
    found = [set_learning_rate(optimiser, settings, step, 100) for step in range(100)]
    assert found[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert max(found) == found[10] == 2
    assert found[55] == pytest.approx(1 + math.cos(math.pi * 0.5))
    assert found[10:] == sorted(found[10:], reverse=True)
    assert 0 < found[99] < 0.01


def test_one_step_in_all_is_taken_at_the_full_rate() -> None:
    settings = Training(learning_rate=2, warmup=0)
    assert set_learning_rate(make_optimiser(Task(), settings), settings, 0, 1) == 2


def test_averaged_weights_are_used_within_and_left_after() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(layer.weight)
    average = WeightAverage(layer, 0.9)
    seen = []
    for value in (1.0, 2.0, 3.0):
        nn.init.constant_(layer.weight, value)
        average.update()
        with average.applied():
            seen.append(layer.weight.item())
        assert layer.weight.item() == value
    # The decay after n updates is (1 + n) / (10 + n), starting from zero.
    expected, first = 0.0, []
    for updates, value in enumerate((1.0, 2.0, 3.0), start=1):
        decay = (1 + updates) / (10 + updates)
        expected = decay * expected + (1 - decay) * value
        first.append(expected)
    assert seen == pytest.approx(first)

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from retrieval.compress.importance.importance import Criterion
from retrieval.compress.importance.platon import Platon
from retrieval.compress.importance.registry import AnyCriterion
from tests.compress.importance.by_hand import TARGET, Net, X, as_tensor, neurons, start, step

READER: TypeAdapter[Criterion] = TypeAdapter(AnyCriterion)
NAMES = [
    "magnitude",
    "taylor",
    "movement",
    "platon",
    "pins",
    "moebert",
    "ablation",
    "l0",
    "random",
]


def test_a_name_alone_stands_for_its_defaults() -> None:
    assert READER.validate_python("platon") == Platon()


def test_options_stand_beside_the_name() -> None:
    found = READER.validate_python({"criterion": "platon", "beta2": 0.5})

    assert found == Platon(beta2=0.5)


@pytest.mark.parametrize("value", ["plato", {"criterion": "platon", "beta3": 1}, {"beta2": 1}])
def test_what_is_misspelt_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        READER.validate_python(value)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_written_reads_back(name: str) -> None:
    criterion = READER.validate_python(name)

    assert READER.validate_python(criterion.model_dump(mode="json")) == criterion


@pytest.mark.parametrize("name", NAMES)
def test_resuming_after_any_step_changes_nothing(name: str) -> None:
    steps = list(zip(X * 2, TARGET * 2, strict=True))
    options = {"window": 2} if name in ("platon", "pins") else {}
    criterion = READER.validate_python({"criterion": name, **options})
    net = Net()
    straight = start(criterion, net, neurons(net))
    for x, target in steps:
        step(net, straight, as_tensor(x), as_tensor(target))
    expected = straight.scores()["net.neuron"]

    for stop in range(1, len(steps)):
        net = Net()
        before = start(criterion, net, neurons(net))
        for x, target in steps[:stop]:
            step(net, before, as_tensor(x), as_tensor(target))
        state = before.state_dict()
        before.close()
        after = start(criterion, net, neurons(net))
        after.load_state_dict(state)
        for x, target in steps[stop:]:
            step(net, after, as_tensor(x), as_tensor(target))

        assert torch.equal(after.scores()["net.neuron"], expected)
        after.close()

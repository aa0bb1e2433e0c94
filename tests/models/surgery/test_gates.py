import pytest
import torch
from torch import nn

from retrieval.models.surgery.find import find_groups
from retrieval.models.surgery.gates import gated
from retrieval.models.surgery.units import Gate, Group
from retrieval.spec.errors import SurgeryError
from tests.models.surgery.towers import (
    HEADS_NEURONS_LAYERS,
    all_groups,
    awake_model,
    embedded,
    ids,
    silence,
)

KINDS = ("head", "neuron", "layer")


@pytest.mark.parametrize("factors", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_zeros_silence_and_ones_change_nothing(kind: str, factors: bool) -> None:
    model = awake_model(factors=factors)
    untouched = embedded(model)
    groups = all_groups(model, kind)
    values = {group.name: torch.ones(group.units) for group in groups}
    with gated(groups, values):
        assert all(map(torch.equal, embedded(model), untouched))
    for name in values.keys() & HEADS_NEURONS_LAYERS.keys():
        values[name].zero_()[HEADS_NEURONS_LAYERS[name]] = 1
    with gated(groups, values):
        found = embedded(model)
    assert all(map(torch.equal, embedded(model), untouched))
    silence(groups, HEADS_NEURONS_LAYERS)
    for one, other in zip(found, embedded(model), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_values_of_each_sample_scale_that_sample_alone() -> None:
    model = awake_model()
    group = find_groups(model, "head", "text")[1]
    values = torch.rand(len(ids()), group.units)
    with torch.no_grad(), gated([group], {group.name: values}):
        together = model.text(ids())
    for row, sentence in enumerate(ids()):
        with torch.no_grad(), gated([group], {group.name: values[row]}):
            torch.testing.assert_close(model.text(sentence[None])[0], together[row])


def test_gradients_reach_the_values() -> None:
    model = awake_model()
    group = find_groups(model, "neuron", "text")[0]
    values = torch.ones(group.units, requires_grad=True)

    def loss(scale: torch.Tensor) -> torch.Tensor:
        with gated([group], {group.name: scale}):
            return model.text(ids()).square().sum()

    loss(values).backward()
    assert values.grad is not None
    step = torch.zeros(group.units)
    step[3] = 1e-2
    with torch.no_grad():
        slope = (loss(1 + step) - loss(1 - step)) / 2e-2
    torch.testing.assert_close(values.grad[3], slope, rtol=1e-2, atol=1e-2)


def test_channels_of_a_convolution_are_scaled_along_the_second_dimension() -> None:
    convolution = nn.Conv2d(3, 4, 1)
    owner = torch.tensor([1, -1, 0, 1])
    gates = (Gate(convolution, "output", owner),)
    group = Group("channel", "channel", 2, members=(), silencers=(), gates=gates)
    pixels = torch.randn(2, 3, 5, 6)
    plain = convolution(pixels)
    with gated([group], {"channel": torch.tensor([2.0, 3.0])}):
        torch.testing.assert_close(
            convolution(pixels), plain * torch.tensor([3.0, 1, 2, 3]).view(1, 4, 1, 1)
        )
    with gated([group], {"channel": torch.tensor([[2.0, 3.0], [5.0, 7.0]])}):
        torch.testing.assert_close(
            convolution(pixels)[1], plain[1] * torch.tensor([7.0, 1, 5, 7]).view(4, 1, 1)
        )


def test_a_linear_in_a_channels_last_tower_is_scaled_along_the_last_dimension() -> None:
    linear = nn.Linear(5, 5)
    gates = (Gate(linear, "input", torch.arange(5)),)
    group = Group("neuron", "neuron", 5, members=(), silencers=(), gates=gates)
    x, values = torch.randn(2, 5, 5, 5), torch.rand(5)
    with gated([group], {"neuron": values}):
        found = linear(x)
    torch.testing.assert_close(found, linear(x * values))


def test_values_can_be_replaced_until_the_gates_are_removed() -> None:
    model = awake_model()
    group = find_groups(model, "layer", "text")[0]
    before = embedded(model)[1]
    gates = gated([group], {group.name: torch.ones(3)})
    gates.values[group.name] = torch.tensor([1.0, 0, 1])
    assert not torch.allclose(embedded(model)[1], before)
    gates.remove()
    gates.remove()
    assert torch.equal(embedded(model)[1], before)


def test_what_cannot_be_gated_is_refused_and_leaves_no_gates() -> None:
    model = awake_model()
    (hidden,) = find_groups(model, "hidden", "text")
    heads = find_groups(model, "head", "text")
    before = embedded(model)[1]
    with pytest.raises(SurgeryError, match=r"text\.hidden has no place"):
        gated([hidden], {hidden.name: torch.ones(hidden.units)})
    with pytest.raises(SurgeryError, match=r"no values are given for .*text\.blocks\.1\.head"):
        gated(heads, {heads[0].name: torch.zeros(heads[0].units)})
    with pytest.raises(SurgeryError, match=r"shape \(3,\) do not fit its 2 units"):
        gated(heads[:1], {heads[0].name: torch.ones(3)})
    assert torch.equal(embedded(model)[1], before)

import numpy as np
import pytest
import torch

from retrieval.compress.importance.importance import Criterion
from retrieval.compress.importance.magnitude import Magnitude
from retrieval.compress.importance.movement import Movement
from retrieval.compress.importance.taylor import Taylor
from retrieval.spec.errors import TrainingError
from tests.compress.importance.by_hand import (
    TARGET,
    Net,
    Plain,
    X,
    as_tensor,
    neurons,
    start,
    step,
    weights,
)


def test_magnitude_of_neurons_is_the_root_mean_square_of_their_weights() -> None:
    net = Net()

    scores = start(Magnitude(), net, neurons(net)).scores()["net.neuron"]

    # Neuron 0: up (1, -2), bias 0.5, down (2, -0.5): 1 + 4 + 0.25 + 4 + 0.25 = 9.5
    # Neuron 1: 0.25 + 9 + 1 + 1 + 2.25 = 13.5; neuron 2: 1 + 1 + 0.0625 + 0.25 + 1 = 3.3125
    expected = (torch.tensor([9.5, 13.5, 3.3125]) / 5).sqrt()
    torch.testing.assert_close(scores, expected)


def test_magnitude_can_leave_the_number_of_weights_out_and_look_at_silencers_alone() -> None:
    net = Net()
    criterion = Magnitude(per_weight=False, weights="silencers")

    scores = start(criterion, net, neurons(net)).scores()["net.neuron"]

    torch.testing.assert_close(scores, torch.tensor([4.25, 3.25, 1.25]).sqrt())


def test_magnitude_of_single_weights_is_their_absolute_value() -> None:
    net = Net()

    scores = start(Magnitude(), net, weights(net)).scores()["net.weight"]

    torch.testing.assert_close(scores, torch.tensor([2.0, 1.0, 0.5, 0.5, 1.5, 1.0]))


def test_magnitude_is_of_the_present_weights() -> None:
    net = Net()
    importance = start(Magnitude(), net, weights(net))
    with torch.no_grad():
        net.down.weight.mul_(2)

    assert importance.scores()["net.weight"][0] == 4


def test_taylor_of_one_step_by_hand() -> None:
    net = Net()
    importance = start(Taylor(), net, neurons(net), weights(net))

    step(net, importance, as_tensor(X[0]), as_tensor(TARGET[0]))

    # x = (1, 0.5): before (0.5, 1, -0.25), hidden (0.5, 1, 0), output (0, 1.25), error
    # (-1, 1.25); gradient of down: ((-0.5, -1, 0), (0.625, 1.25, 0)).
    # Products with down: ((-1, 1, 0), (-0.3125, 1.875, 0)); their sums by neuron:
    # -1.3125, 2.875, 0.
    scores = importance.scores()
    torch.testing.assert_close(scores["net.neuron"], torch.tensor([1.3125, 2.875, 0.0]))
    expected = torch.tensor([1.0, 1.0, 0.0, 0.3125, 1.875, 0.0])
    torch.testing.assert_close(scores["net.weight"], expected)


def test_movement_of_one_step_by_hand_keeps_its_sign() -> None:
    net = Net()
    importance = start(Movement(), net, neurons(net), weights(net))

    step(net, importance, as_tensor(X[0]), as_tensor(TARGET[0]))

    scores = importance.scores()
    torch.testing.assert_close(scores["net.neuron"], torch.tensor([1.3125, -2.875, 0.0]))
    expected = torch.tensor([1.0, -1.0, 0.0, 0.3125, -1.875, 0.0])
    torch.testing.assert_close(scores["net.weight"], expected)


def test_three_steps_against_plain_loops() -> None:
    net, plain = Net(), Plain()
    group = neurons(net)
    taylor = start(Taylor(), net, group)
    whole = start(Taylor(weights="all"), net, group)
    movement = start(Movement(), net, group)
    of_gates, of_all, moved = np.zeros(3), np.zeros(3), np.zeros(3)

    for x, target in zip(X, TARGET, strict=True):
        gradients = plain.gradients(x, target)
        gate = (plain.down * gradients["down"]).sum(0)
        rest = (plain.up * gradients["up"]).sum(1) + plain.bias * gradients["bias"]
        of_gates += np.abs(gate) / 3
        of_all += np.abs(gate + rest) / 3
        moved -= gate
        plain.descend(gradients, 0.1)
        net.zero_grad()
        ((net(as_tensor(x)) - as_tensor(target)).square().sum() / 2).backward()
        for one in (taylor, whole, movement):
            one.before_step(0.1)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter -= 0.1 * parameter.grad

    np.testing.assert_allclose(taylor.scores()["net.neuron"].numpy(), of_gates, rtol=1e-4)
    np.testing.assert_allclose(whole.scores()["net.neuron"].numpy(), of_all, rtol=1e-4)
    np.testing.assert_allclose(movement.scores()["net.neuron"].numpy(), moved, rtol=1e-4)


def test_taylor_of_silencers_is_the_derivative_by_a_gate() -> None:
    net = Net()
    x, target = as_tensor(X[1]), as_tensor(TARGET[1])
    gate = torch.ones(3, requires_grad=True)
    output = net.down(torch.relu(net.up(x)) * gate)
    ((output - target).square().sum() / 2).backward()
    expected = gate.grad.abs()
    importance = start(Taylor(), net, neurons(net))

    step(net, importance, x, target)

    torch.testing.assert_close(importance.scores()["net.neuron"], expected)


def test_frozen_members_are_left_out_while_others_train() -> None:
    net = Net()
    net.up.requires_grad_(False)
    importance = start(Taylor(weights="all"), net, neurons(net))

    step(net, importance, as_tensor(X[0]), as_tensor(TARGET[0]))

    expected = torch.tensor([1.3125, 2.875, 0.0])
    torch.testing.assert_close(importance.scores()["net.neuron"], expected)


@pytest.mark.parametrize("criterion", [Taylor(), Movement()])
def test_a_frozen_group_is_named(criterion: Criterion) -> None:
    net = Net()
    importance = start(criterion, net, neurons(net))

    with pytest.raises(TrainingError, match=r"net\.neuron has no gradients.*leave the group out"):
        importance.before_step(0.1)


@pytest.mark.parametrize("criterion", [Taylor(), Movement()])
def test_scores_before_the_first_step_are_refused(criterion: Criterion) -> None:
    net = Net()

    with pytest.raises(TrainingError, match="no step yet"):
        start(criterion, net, neurons(net)).scores()

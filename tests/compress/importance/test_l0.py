import copy
import math

import numpy as np
import pytest
import torch

from retrieval.compress.importance.hard_concrete import expected, open_chance, sample
from retrieval.compress.importance.l0 import L0
from retrieval.spec.errors import RecipeError, TrainingError
from tests.compress.importance.by_hand import (
    TARGET,
    Net,
    X,
    as_tensor,
    context,
    neurons,
    step,
    weights,
)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_gates_by_hand() -> None:
    # Uniform 0.5 has logit 0: sigmoid(0.5 / (2/3)) = 0.679179, stretched 0.715015.
    # Far to either side the gate is cut to 0 or 1.
    gates = sample(torch.tensor([0.5, -4.0, 4.0]), torch.tensor([0.5, 0.5, 0.5]))

    torch.testing.assert_close(gates, torch.tensor([_sigmoid(0.75) * 1.2 - 0.1, 0.0, 1.0]))


@pytest.mark.parametrize("log_alpha", [-2.0, 0.0, 1.5])
def test_chance_and_mean_are_those_of_many_draws(log_alpha: float) -> None:
    random = np.random.default_rng(0).uniform(size=400_000)
    concrete = 1 / (1 + np.exp(-(np.log(random / (1 - random)) + log_alpha) * 1.5))
    draws = np.clip(concrete * 1.2 - 0.1, 0, 1)
    at = torch.tensor([log_alpha])

    assert open_chance(at).item() == pytest.approx((draws > 0).mean(), abs=3e-3)
    assert expected(at).item() == pytest.approx(draws.mean(), abs=3e-3)


def test_the_mean_still_ranks_gates_that_are_nearly_sure() -> None:
    means = expected(torch.tensor([-9.0, -8.0, 0.0, 8.0, 9.0]))

    assert (means.diff() > 0).all()


def test_the_penalty_by_hand() -> None:
    net = Net()
    settings = L0(penalty=3.0, log_alpha=0.0, warmup=0.5)
    importance = settings.start(context(net, neurons(net), keep=0.2, total=8))

    # Every gate is open with sigmoid(2/3 log 11) = 0.8318; the target grows to 0.8 over 4
    # steps, so it is 0.2 at the first, where 0.1682 are closed.
    short = 0.2 - (1 - _sigmoid(2 / 3 * math.log(11)))
    assert importance.losses()["l0"].item() == pytest.approx(3 * short + 3 * short**2, rel=1e-4)
    for _ in range(6):
        importance.after_step()
    short = 0.8 - (1 - _sigmoid(2 / 3 * math.log(11)))
    assert importance.losses()["l0"].item() == pytest.approx(3 * short + 3 * short**2, rel=1e-4)


def test_no_penalty_where_enough_is_closed() -> None:
    net = Net()
    settings = L0(log_alpha=-9.0, warmup=0)

    assert settings.start(context(net, neurons(net), keep=0.5)).losses()["l0"] == 0


def test_one_step_moves_gates_and_multipliers_by_their_gradients() -> None:
    net = Net()
    settings = L0(log_alpha=0.3, warmup=0, penalty=2.0, seed=4)
    importance = settings.start(context(net, neurons(net), keep=0.1))
    x, target = as_tensor(X[1]), as_tensor(TARGET[1])
    # The same step written out, with the draws of that seed.
    uniform = torch.rand(3, generator=torch.Generator().manual_seed(4))
    log_alpha = torch.full((3,), 0.3, requires_grad=True)
    hidden = torch.relu(net.up(x)) * sample(log_alpha, uniform)
    short = 0.9 - (1 - open_chance(log_alpha).mean())
    loss = (net.down(hidden) - target).square().sum() / 2 + 2 * short + 2 * short**2
    (gradient,) = torch.autograd.grad(loss, log_alpha)
    plain = torch.nn.Parameter(log_alpha.detach().clone())
    plain.grad = gradient
    torch.optim.Adam([plain], lr=0.02).step()

    step(net, importance, x, target)

    torch.testing.assert_close(importance.log_alpha["net.neuron"].data, plain.data)
    torch.testing.assert_close(importance.multipliers.data, torch.tensor([2.02, 2.02]))
    assert short > 0


def test_several_backward_passes_before_a_step_add_up() -> None:
    found = []
    for parts in ([slice(0, 2)], [slice(0, 1), slice(1, 2)]):
        net = Net()
        importance = L0().start(context(net, neurons(net)))
        importance.before_forward()
        for part in parts:
            wrong = net(as_tensor(X[1])[part]) - as_tensor(TARGET[1])[part]
            wrong.square().sum().backward()
        importance.before_step(0.1)
        found.append(importance.log_alpha["net.neuron"].grad)

    assert found[0].abs().max() > 0
    torch.testing.assert_close(found[0], found[1])


def test_gates_work_between_forward_and_step_alone() -> None:
    net = Net()
    importance = L0(log_alpha=-9.0).start(context(net, neurons(net)))
    x = as_tensor(X[0])
    ungated = net(x)

    importance.before_forward()
    assert torch.equal(net(x), torch.zeros(1, 2))
    net(x).sum().backward()
    importance.before_step(0.1)
    assert torch.equal(net(x), ungated)
    importance.before_forward()
    importance.close()
    assert torch.equal(net(x), ungated)


def test_gates_close_until_the_target_is_met_and_the_useless_unit_goes() -> None:
    net = Net()
    with torch.no_grad():
        net.down.weight[:, 1] = 0
    net.requires_grad_(False)
    net.down.weight.requires_grad_(True)
    x = torch.randn(32, 2, generator=torch.Generator().manual_seed(0)) * 2
    target = net(x).detach()
    settings = L0(learning_rate=0.1, warmup=0.2)
    importance = settings.start(context(net, neurons(net), keep=0.67, total=300))

    for _ in range(300):
        step(net, importance, x, target, rate=0.0)

    assert importance.closed_share() >= 0.32
    scores = importance.scores()["net.neuron"]
    assert scores.argmin() == 1
    assert scores[1] < 0.2
    assert scores[[0, 2]].min() > 0.8


def test_what_overflowed_is_skipped() -> None:
    net = Net()
    importance = L0().start(context(net, neurons(net)))
    importance.before_forward()
    (net(as_tensor(X[0])).sum() * float("inf")).backward()
    importance.before_step(0.1)

    importance.after_step()

    assert torch.equal(importance.log_alpha["net.neuron"].data, torch.full((3,), 2.5))


def test_state_is_not_touched_by_later_steps() -> None:
    net = Net()
    importance = L0().start(context(net, neurons(net)))
    step(net, importance, as_tensor(X[0]), as_tensor(TARGET[0]))
    state = importance.state_dict()
    before = copy.deepcopy(state)

    step(net, importance, as_tensor(X[1]), as_tensor(TARGET[1]))

    torch.testing.assert_close(state, before, rtol=0, atol=0)


def test_it_needs_gates_and_gradients() -> None:
    net = Net()
    with pytest.raises(RecipeError, match=r"net\.weight \(weight\)"):
        L0().start(context(net, weights(net)))
    importance = L0().start(context(net, neurons(net)))
    importance.before_forward()
    with pytest.raises(TrainingError, match=r"net\.neuron has no gradients"):
        importance.before_step(0.1)

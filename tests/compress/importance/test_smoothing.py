from collections.abc import Callable

import numpy as np
import pytest
import torch

from retrieval.compress.importance.importance import Criterion
from retrieval.compress.importance.pins import Pins
from retrieval.compress.importance.platon import Platon
from retrieval.compress.importance.smoothing import Smoothing
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

RATE = 0.05
SETTINGS = {"window": 2, "beta1": 0.5, "beta2": 0.75}


def test_two_windows_by_hand() -> None:
    smoothing = Smoothing(Platon(window=2, beta1=0.5, beta2=0.75))

    # Window means 2 and 6. First: sensitivity 1, deviation 1, uncertainty 0.25.
    # Second: sensitivity 3.5, deviation 2.5, uncertainty 0.1875 + 0.625 = 0.8125.
    for value in (1.0, 3.0, 4.0, 8.0):
        smoothing.add({"a": torch.tensor([value])})

    assert smoothing.scores()["a"].item() == pytest.approx(3.5 * 0.8125)


def test_an_open_window_does_not_count_once_one_has_closed() -> None:
    smoothing = Smoothing(Platon(window=2, beta1=0.5, beta2=0.75))
    for value in (1.0, 3.0, 100.0):
        smoothing.add({"a": torch.tensor([value])})

    assert smoothing.scores()["a"].item() == pytest.approx(0.25)


def test_before_the_first_window_ends_its_mean_so_far_counts() -> None:
    smoothing = Smoothing(Platon(window=10))
    with pytest.raises(TrainingError, match="no step yet"):
        smoothing.scores()
    for value in (1.0, 3.0):
        smoothing.add({"a": torch.tensor([value])})

    assert smoothing.scores()["a"].item() == 2


def test_steps_that_overflowed_do_not_count() -> None:
    smoothing = Smoothing(Platon(window=2, beta1=0.5, beta2=0.75))
    for value in (1.0, float("inf"), float("nan"), 3.0):
        smoothing.add({"a": torch.tensor([value]), "b": torch.tensor([1.0])})

    assert smoothing.scores()["a"].item() == pytest.approx(0.25)


def test_beta2_of_one_leaves_the_sensitivity_alone() -> None:
    smoothing = Smoothing(Platon(window=1, beta1=0.5, beta2=1))
    for value in (2.0, 6.0):
        smoothing.add({"a": torch.tensor([value])})

    assert smoothing.scores()["a"].item() == 3.5


def _plain(
    value: Callable[[np.ndarray, np.ndarray], np.ndarray], *, after_step: bool, by_neuron: bool
) -> np.ndarray:
    """Six steps of PLATON's averages in numpy, over windows of two."""
    net = Plain()
    sensitivity: np.ndarray = np.zeros(())
    uncertainty: np.ndarray = np.zeros(())
    window = []
    for x, target in zip(X * 2, TARGET * 2, strict=True):
        gradients = net.gradients(x, target)
        old = net.down.copy()
        net.descend(gradients, RATE)
        products = value(net.down if after_step else old, gradients["down"])
        window.append(np.abs(products.sum(0) if by_neuron else products.flatten()))
        if len(window) == 2:
            mean = (window[0] + window[1]) / 2
            sensitivity = 0.5 * sensitivity + 0.5 * mean
            uncertainty = 0.75 * uncertainty + 0.25 * np.abs(mean - sensitivity)
            window = []
    return sensitivity * uncertainty


@pytest.mark.parametrize("by_neuron", [True, False])
@pytest.mark.parametrize(
    ("criterion", "value", "after_step"),
    [
        (Platon(**SETTINGS), lambda w, g: w * g, True),
        (Pins(**SETTINGS), lambda w, g: RATE * g**2 - g * w, False),
    ],
)
def test_six_steps_against_plain_loops(
    criterion: Criterion,
    value: Callable[[np.ndarray, np.ndarray], np.ndarray],
    after_step: bool,
    by_neuron: bool,
) -> None:
    net = Net()
    importance = start(criterion, net, neurons(net) if by_neuron else weights(net))

    for x, target in zip(X * 2, TARGET * 2, strict=True):
        step(net, importance, as_tensor(x), as_tensor(target), RATE)

    (scores,) = importance.scores().values()
    expected = _plain(value, after_step=after_step, by_neuron=by_neuron)
    assert expected.max() > 0
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-3, atol=1e-6)


def test_pins_scores_the_change_of_zeroing_a_weight_after_the_step() -> None:
    net = Net()
    importance = start(Pins(window=10), net, weights(net))

    step(net, importance, as_tensor(X[0]), as_tensor(TARGET[0]), rate=0.1)

    # Gradient of down ((-0.5, -1, 0), (0.625, 1.25, 0)); times weight -> 1, 1, 0, -0.3125,
    # 1.875, 0 with signs -1, 1, 0, -0.3125, 1.875, 0; 0.1 g^2: 0.025, 0.1, 0, 0.0390625,
    # 0.15625, 0.
    expected = torch.tensor([1.025, 0.9, 0.0, 0.3515625, 1.71875, 0.0])
    torch.testing.assert_close(importance.scores()["net.weight"], expected)


@pytest.mark.parametrize("criterion", [Platon(), Pins()])
def test_a_frozen_group_is_named_when_smoothed(criterion: Criterion) -> None:
    net = Net()
    importance = start(criterion, net, neurons(net))

    with pytest.raises(TrainingError, match=r"net\.neuron has no gradients"):
        importance.before_step(0.1)
        importance.after_step()


def test_defaults_are_those_of_the_papers() -> None:
    assert (Platon().window, Platon().beta1, Platon().beta2) == (10, 0.85, 0.95)
    assert (Pins().window, Pins().beta1, Pins().beta2) == (10, 0.85, 0.99)

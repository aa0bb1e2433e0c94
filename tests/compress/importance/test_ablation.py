from collections.abc import Callable

import pytest
import torch

from retrieval.compress.importance.ablation import Ablation
from retrieval.models.surgery.units import Group, Member
from retrieval.spec.errors import RecipeError
from tests.compress.importance.by_hand import Net, context, neurons, weights


def _recall(net: Net) -> Callable[[], float]:
    """Made up, and known by hand: 10 for each weight of ``down``'s first row that is not 0."""
    return lambda: 10.0 * (net.down.weight[0] * torch.tensor([1.0, 2, 3])).abs().sum().item()


def test_a_score_is_the_drop_without_the_block() -> None:
    net = Net()
    importance = Ablation(blocks=3).start(context(net, neurons(net), evaluate=_recall(net)))

    # The first row of down is (2, -1, 0.5).
    expected = torch.tensor([20.0, 20.0, 15.0])
    torch.testing.assert_close(importance.scores()["net.neuron"], expected)


def test_neurons_of_a_block_share_a_score() -> None:
    net = Net()
    importance = Ablation(blocks=2).start(context(net, neurons(net), evaluate=_recall(net)))

    expected = torch.tensor([40.0, 40.0, 15.0])
    torch.testing.assert_close(importance.scores()["net.neuron"], expected)


def test_heads_go_one_by_one_whatever_the_blocks() -> None:
    net = Net()
    down = Member("down.weight", net.down.weight, 1, torch.tensor([0, 1, 1]))
    heads = Group("heads", "head", 2, (down,), (down,))
    importance = Ablation(blocks=1).start(context(net, heads, evaluate=_recall(net)))

    torch.testing.assert_close(importance.scores()["heads"], torch.tensor([20.0, 35.0]))


def test_it_measures_once_and_leaves_the_weights_bit_by_bit() -> None:
    net = Net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    calls = []
    importance = Ablation(blocks=3).start(
        context(net, neurons(net), evaluate=lambda: calls.append(1) or float(len(calls)))
    )
    assert not calls

    first = importance.scores()["net.neuron"]
    first.zero_()
    second = importance.scores()["net.neuron"]

    assert len(calls) == 4
    assert second.tolist() == [-1, -2, -3]
    assert all(torch.equal(net.state_dict()[name], value) for name, value in before.items())


def test_a_failed_evaluation_leaves_the_weights_as_they_were() -> None:
    net = Net()
    before = net.down.weight.detach().clone()
    calls = []

    def fail() -> float:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return 0.0

    with pytest.raises(KeyboardInterrupt):
        Ablation().start(context(net, neurons(net), evaluate=fail)).scores()

    assert torch.equal(net.down.weight, before)


def test_measured_drops_survive_a_stop() -> None:
    net = Net()
    first = Ablation().start(context(net, neurons(net), evaluate=_recall(net)))
    expected = first.scores()["net.neuron"]
    second = Ablation().start(context(net, neurons(net), evaluate=lambda: pytest.fail("again")))

    second.load_state_dict(first.state_dict())

    assert torch.equal(second.scores()["net.neuron"], expected)


def test_it_needs_a_dev_split_and_units_that_can_be_silenced() -> None:
    net = Net()
    with pytest.raises(RecipeError, match=r"add data\.dev"):
        Ablation().start(context(net, neurons(net)))
    with pytest.raises(RecipeError, match=r"net\.weight"):
        Ablation().start(context(net, weights(net), evaluate=_recall(net)))
    whole = neurons(net)
    hidden = Group("hidden", "hidden", 3, whole.members, ())
    with pytest.raises(RecipeError, match=r"hidden \(hidden\)"):
        Ablation().start(context(net, hidden, evaluate=_recall(net)))

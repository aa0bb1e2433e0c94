import torch

from retrieval.compress.importance.random import Random
from tests.compress.importance.by_hand import Net, neurons, start, weights


def test_scores_depend_on_the_seed_alone() -> None:
    net = Net()
    torch.manual_seed(0)
    first = start(Random(seed=3), net, neurons(net), weights(net)).scores()
    torch.manual_seed(1)
    again = start(Random(seed=3), net, neurons(net), weights(net)).scores()
    other = start(Random(seed=4), net, neurons(net), weights(net)).scores()

    assert first["net.neuron"].shape == (3,)
    assert first["net.weight"].shape == (6,)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["net.weight"], other["net.weight"])


def test_scores_stay_during_training() -> None:
    net = Net()
    importance = start(Random(), net, neurons(net))
    first = importance.scores()["net.neuron"].clone()
    importance.scores()["net.neuron"].zero_()

    assert torch.equal(importance.scores()["net.neuron"], first)

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from retrieval.compress.importance.moebert import MoEBERT
from retrieval.compress.importance.taylor import Taylor
from retrieval.models.surgery.units import Gate, Group, Member
from retrieval.models.transformer import Block, Ranks
from retrieval.spec.errors import RecipeError, TrainingError
from tests.compress.importance.by_hand import (
    DOWN,
    TARGET,
    Net,
    Plain,
    X,
    as_tensor,
    context,
    neurons,
    start,
    step,
    weights,
)


def test_moebert_by_hand() -> None:
    net = Net()
    importance = start(MoEBERT(), net, neurons(net))

    step(net, importance, as_tensor(X[0]), as_tensor(TARGET[0]))

    # x = (1, 0.5), hidden (0.5, 1, 0), error (-1, 1.25). Gradients of hidden: -2.625, 2.875,
    # 0.75, of up's output: -2.625, 2.875, 0. Without bias up gives 0, 2, -0.5. So
    # neuron 0: 0.5 * -2.625 + 0 * -2.625; neuron 1: 1 * 2.875 + 2 * 2.875; neuron 2: 0.
    expected = torch.tensor([1.3125, 8.625, 0.0])
    torch.testing.assert_close(importance.scores()["net.neuron"], expected)


def test_moebert_sums_each_samples_weights_times_gradients_without_their_sign() -> None:
    net, plain = Net(), Plain()
    importance = start(MoEBERT(), net, neurons(net))

    for x, target in zip(X, TARGET, strict=True):
        step(net, importance, as_tensor(x), as_tensor(target), rate=0.01)

    expected = np.zeros(3)
    for x, target in zip(X, TARGET, strict=True):
        for number in range(len(x)):
            one = plain.gradients(x[number : number + 1], target[number : number + 1])
            of_sample = (plain.up * one["up"]).sum(1) + (plain.down * one["down"]).sum(0)
            expected += np.abs(of_sample) / len(X)
        plain.descend(plain.gradients(x, target), 0.01)
    np.testing.assert_allclose(importance.scores()["net.neuron"].numpy(), expected, rtol=1e-4)


def test_samples_that_cancel_count_for_samples_and_not_for_the_batch() -> None:
    net = Net()
    by_sample = start(Taylor(per="sample"), net, neurons(net))
    by_batch = start(Taylor(), net, neurons(net))
    # The same photo twice, with targets on both sides of what comes out.
    x = as_tensor(np.array([[1.0, 0.5], [1.0, 0.5]]))
    middle = net(x).detach()
    away = torch.tensor([[1.0, 0.5], [-1.0, -0.5]])

    ((net(x) - middle - away).square().sum() / 2).backward()
    by_sample.before_step(0.1)
    by_batch.before_step(0.1)

    # Gradients of hidden are minus (1, 0.5) @ DOWN = (-1.75, 0.25, -1) and its opposite.
    expected = 2 * np.abs(np.array([0.5, 1.0, 0.0]) * (np.array([1.0, 0.5]) @ DOWN))
    torch.testing.assert_close(by_sample.scores()["net.neuron"], as_tensor(expected))
    torch.testing.assert_close(by_batch.scores()["net.neuron"], torch.zeros(3))


def _block(granularity: str) -> tuple[Block, Group]:
    torch.manual_seed(3)
    block = Block(8, 2, 4, 16, activation="gelu", causal=True, ranks=Ranks())
    if granularity == "neuron":
        every = torch.arange(16)
        down = Member("down.weight", block.down.weight, 1, every)
        members = (
            Member("up.weight", block.up.weight, 0, every),
            Member("up.bias", block.up.bias, 0, every),
            down,
        )
        gate = Gate(block.down, "input", every)
        return block, Group("neuron", "neuron", 16, members, (down,), (gate,))
    owner = torch.arange(2).repeat_interleave(4)
    output = Member("attention.output.weight", block.attention.output.weight, 1, owner)
    gate = Gate(block.attention.output, "input", owner)
    return block, Group("head", "head", 2, (output,), (output,), (gate,))


def _loss(block: Block, x: Tensor) -> Tensor:
    return block(x).square().sum(dim=(1, 2)).mul(torch.arange(1.0, len(x) + 1)).mean()


@pytest.mark.parametrize("granularity", ["neuron", "head"])
def test_units_of_a_transformer_against_one_backward_pass_a_sample(granularity: str) -> None:
    block, group = _block(granularity)
    x = torch.randn(3, 5, 8)
    expected = torch.zeros(group.units)
    for number in range(3):
        block.zero_grad()
        # The third of a mean over three that belongs to one sample.
        (block(x[number : number + 1]).square().sum() * (number + 1) / 3).backward()
        products = [
            member.sums(member.parameter * member.parameter.grad, group.units)
            for member in group.members
            if "bias" not in member.name
        ]
        expected += torch.stack(products).sum(0).abs().detach()
    importance = start(MoEBERT(), block, group)

    _loss(block, x).backward()
    importance.before_step(0.1)

    torch.testing.assert_close(importance.scores()[group.name], expected, rtol=1e-4, atol=1e-4)


def test_several_backward_passes_and_several_forward_passes_before_a_step_add_up() -> None:
    scores = []
    for parts in ([slice(0, 4)], [slice(0, 2), slice(2, 4)]):
        for together in (False, True):
            block, group = _block("neuron")
            x = torch.randn(4, 5, 8, generator=torch.Generator().manual_seed(1))
            importance = start(MoEBERT(), block, group)
            losses = []
            for part in parts:
                losses.append(block(x[part]).square().sum())
                if not together:
                    losses[-1].backward()
            if together:
                torch.stack(losses).sum().backward()
            importance.before_step(0.1)
            scores.append(importance.scores()["neuron"])

    for other in scores[1:]:
        torch.testing.assert_close(other, scores[0], rtol=1e-4, atol=1e-4)


def test_watching_changes_neither_outputs_nor_gradients_and_ends() -> None:
    plain, group = _block("neuron")
    x = torch.randn(3, 5, 8)
    _loss(plain, x).backward()
    expected = [parameter.grad.clone() for parameter in plain.parameters()]
    plain.zero_grad()
    importance = start(MoEBERT(), plain, group)

    _loss(plain, x).backward()

    for parameter, gradient in zip(plain.parameters(), expected, strict=True):
        assert torch.equal(parameter.grad, gradient)
    importance.before_step(0.1)
    importance.close()
    _loss(plain, x).backward()
    with pytest.raises(TrainingError, match="neuron has no gradients"):
        importance.before_step(0.1)


def test_evaluations_in_between_do_not_count() -> None:
    net = Net()
    importance = start(MoEBERT(), net, neurons(net))
    x, target = as_tensor(X[0]), as_tensor(TARGET[0])

    with torch.inference_mode():
        net(x)
    step(net, importance, x, target)

    expected = torch.tensor([1.3125, 8.625, 0.0])
    torch.testing.assert_close(importance.scores()["net.neuron"], expected)


def test_channels_with_an_activation_in_place() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.SiLU(inplace=True)).eval()
    every = torch.arange(4)
    members = tuple(
        Member(name, parameter, 0, every) for name, parameter in net[1].named_parameters()
    )
    group = Group("channel", "channel", 4, members, members, (Gate(net[1], "output", every),))
    x = torch.randn(2, 3, 5, 5)
    gates = torch.ones(2, 4, 1, 1, requires_grad=True)
    torch.nn.functional.silu(net[1](net[0](x)) * gates).pow(3).sum().backward()
    importance = start(Taylor(per="sample"), net, group)

    net(x).pow(3).sum().backward()
    importance.before_step(0.1)

    expected = gates.grad.abs().sum(dim=(0, 2, 3))
    torch.testing.assert_close(importance.scores()["channel"], expected, rtol=1e-4, atol=1e-5)


def test_features_that_belong_to_no_unit_do_not_count() -> None:
    net = Net()
    down = Member("down.weight", net.down.weight, 1, torch.tensor([0, -1, 1]))
    gate = Gate(net.down, "input", down.owner)
    group = Group("some", "neuron", 2, (down,), (down,), (gate,))
    importance = start(Taylor(per="sample"), net, group)

    step(net, importance, as_tensor(X[0]), as_tensor(TARGET[0]))

    torch.testing.assert_close(importance.scores()["some"], torch.tensor([1.3125, 0.0]))


@pytest.mark.parametrize("criterion", [Taylor, MoEBERT])
def test_normalised_scores_of_a_group_have_length_one(criterion: type) -> None:
    net = Net()
    plain = start(criterion(), net, neurons(net))
    normalised = start(criterion(normalise=True), net, neurons(net))

    ((net(as_tensor(X[0])) - as_tensor(TARGET[0])).square().sum() / 2).backward()
    plain.before_step(0.1)
    normalised.before_step(0.1)

    scores = plain.scores()["net.neuron"]
    torch.testing.assert_close(normalised.scores()["net.neuron"], scores / scores.norm())


def test_moebert_refuses_what_is_neither_neuron_nor_head() -> None:
    net = Net()

    with pytest.raises(RecipeError, match=r"net\.weight is of granularity weight"):
        start(MoEBERT(), net, weights(net))


def test_moebert_needs_the_model_that_the_group_belongs_to() -> None:
    net = Net()

    with pytest.raises(RecipeError, match=r"weight up\.weight, which the model lacks"):
        MoEBERT().start(context(Net(), neurons(net)))


def test_samples_need_gates() -> None:
    net = Net()

    with pytest.raises(RecipeError, match=r"net\.weight \(weight\) has no gates"):
        start(Taylor(per="sample"), net, weights(net))


def test_a_frozen_group_is_named_when_samples_count() -> None:
    net = Net().requires_grad_(False)
    importance = start(MoEBERT(), net, neurons(net))
    net(as_tensor(X[0]))

    with pytest.raises(TrainingError, match=r"net\.neuron has no gradients"):
        importance.before_step(0.1)

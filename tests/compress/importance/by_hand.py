"""A two-layer network with groups made by hand, and the same network in numpy."""

import numpy as np
import torch
from torch import Tensor, nn

from retrieval.compress.importance.importance import Context, Criterion, Importance
from retrieval.models.surgery.units import Gate, Group, Member

UP = np.array([[1.0, -2.0], [0.5, 3.0], [-1.0, 1.0]])
UP_BIAS = np.array([0.5, -1.0, 0.25])
DOWN = np.array([[2.0, -1.0, 0.5], [-0.5, 1.5, 1.0]])


class Net(nn.Module):
    """``down(relu(up(x)))`` with fixed weights."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(2, 3)
        self.down = nn.Linear(3, 2, bias=False)
        with torch.no_grad():
            self.up.weight.copy_(torch.tensor(UP))
            self.up.bias.copy_(torch.tensor(UP_BIAS))
            self.down.weight.copy_(torch.tensor(DOWN))

    def forward(self, x: Tensor) -> Tensor:
        return self.down(torch.relu(self.up(x)))


def neurons(net: Net, name: str = "net.neuron") -> Group:
    every = torch.arange(3)
    down = Member("down.weight", net.down.weight, 1, every)
    members = (
        Member("up.weight", net.up.weight, 0, every),
        Member("up.bias", net.up.bias, 0, every),
        down,
    )
    gates = (Gate(net.down, "input", every),)
    return Group(name, "neuron", 3, members, (down,), gates)


def weights(net: Net, name: str = "net.weight") -> Group:
    """Every weight of ``down`` is a unit."""
    one = Member("down.weight", net.down.weight, None, torch.empty(0, dtype=torch.int64))
    return Group(name, "weight", 6, (one,), (one,))


def context(net: nn.Module, *groups: Group, **changes: object) -> Context:
    return Context(**{"groups": groups, "model": net, "keep": 0.5, "total": 10, **changes})


def step(net: Net, one: Importance, x: Tensor, target: Tensor, rate: float = 0.1) -> None:
    """One step of plain gradient descent on half the summed squared error, with the hooks."""
    net.zero_grad()
    one.before_forward()
    loss = (net(x) - target).square().sum() / 2 + sum(one.losses().values())
    loss.backward()
    one.before_step(rate)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.grad is not None:
                parameter -= rate * parameter.grad
    one.after_step()


def start(criterion: Criterion, net: nn.Module, *groups: Group) -> Importance:
    return criterion.start(
        context(net, *groups, evaluate=lambda: sum(one.sum().item() for one in net.parameters()))
    )


class Plain:
    """`Net` and its gradients again, written out in numpy."""

    def __init__(self) -> None:
        self.up, self.bias, self.down = UP.copy(), UP_BIAS.copy(), DOWN.copy()

    def gradients(self, x: np.ndarray, target: np.ndarray) -> dict[str, np.ndarray]:
        before = x @ self.up.T + self.bias
        hidden = np.maximum(before, 0)
        error = hidden @ self.down.T - target
        by_hidden = error @ self.down
        by_before = by_hidden * (before > 0)
        return {"up": by_before.T @ x, "bias": by_before.sum(0), "down": error.T @ hidden}

    def descend(self, gradients: dict[str, np.ndarray], rate: float) -> None:
        self.up -= rate * gradients["up"]
        self.bias -= rate * gradients["bias"]
        self.down -= rate * gradients["down"]


X = [np.array([[1.0, 0.5]]), np.array([[-0.5, 1.0], [2.0, 1.0]]), np.array([[0.5, 2.0]])]
TARGET = [np.array([[1.0, 0.0]]), np.array([[0.0, 1.0], [1.0, 1.0]]), np.array([[0.0, 0.5]])]


def as_tensor(value: np.ndarray) -> Tensor:
    return torch.tensor(value, dtype=torch.float32)

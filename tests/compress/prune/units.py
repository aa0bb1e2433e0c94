"""Groups of made-up parameters, whose weights are easy to count."""

import torch
from torch import nn

from retrieval.models.surgery.units import Group, Member


def matrix_group(
    name: str, weight: nn.Parameter, dim: int = 0, *, multiple: int = 1, least: int = 1
) -> Group:
    """The rows (or columns) of one matrix."""
    owner = torch.arange(weight.shape[dim])
    members = (Member(f"{name}.weight", weight, dim, owner),)
    return Group(
        name, "neuron", weight.shape[dim], members, members, multiple=multiple, least=least
    )


def rows(name: str, units: int, size: int, *, multiple: int = 1, least: int = 1) -> Group:
    """Units of ``size`` weights each, in a matrix of ones."""
    weight = nn.Parameter(torch.ones(units, size))
    return matrix_group(name, weight, multiple=multiple, least=least)


def weights(name: str, *values: float, least: int = 1) -> Group:
    """Single weights."""
    parameter = nn.Parameter(torch.tensor(values))
    members = (Member(name, parameter, None, torch.empty(0, dtype=torch.int64)),)
    return Group(name, "weight", len(values), members, members, least=least)

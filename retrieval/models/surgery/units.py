"""Units of a model that can be taken out, and the weights that go with each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

Granularity = Literal["weight", "head", "neuron", "channel", "layer", "hidden"]

Kept = Mapping[str, Tensor]
"""For each group by name, the units that stay, ascending, int64 ``(kept,)``."""


@dataclass(frozen=True, eq=False)
class Member:
    """A parameter, part of which belongs to each unit of a group.

    Attributes:
        name: In the model, such as ``text.blocks.0.up.weight``.
        parameter: The parameter itself.
        dim: Dimension along which it is cut; None when every weight is a unit of its own.
        owner: Unit of each index along ``dim``, int64 ``(size,)``; -1 for what belongs to
            none. Empty when ``dim`` is None.
    """

    name: str
    parameter: nn.Parameter
    dim: int | None
    owner: Tensor

    def sums(self, values: Tensor, units: int) -> Tensor:
        """Sum of ``values`` (shaped as the parameter) over each unit, ``(units,)``."""
        if self.dim is None:
            return values.flatten()
        by_index = values.movedim(self.dim, 0).flatten(1).sum(dim=1) if values.ndim > 1 else values
        owner = self.owner.to(values.device)
        own = owner >= 0
        return torch.zeros(units, dtype=values.dtype, device=values.device).index_add(
            0, owner[own], by_index[own]
        )

    def staying(self, kept: Tensor) -> Tensor:
        """Indices along ``dim`` that stay with the units ``kept``; int64, ascending."""
        owner = self.owner.to(kept.device)
        return ((owner < 0) | torch.isin(owner, kept)).nonzero().flatten()

    def spread(self, of_units: Tensor) -> Tensor:
        """A value for each unit as a tensor that broadcasts over the parameter; 1 elsewhere."""
        if self.dim is None:
            return of_units.view(self.parameter.shape)
        owner = self.owner.to(of_units.device)
        ones = torch.ones((), dtype=of_units.dtype, device=of_units.device)
        by_index = torch.where(owner >= 0, of_units[owner.clamp(min=0)], ones)
        shape = [1] * self.parameter.ndim
        shape[self.dim] = -1
        return by_index.view(shape)


@dataclass(frozen=True, eq=False)
class Gate:
    """Where a unit's activation passes, so that it can be multiplied by a number.

    Attributes:
        module: Its input or output is multiplied.
        side: Which of both.
        owner: Unit of each feature, as in `Member`. Features are the last dimension of what
            a linear takes and gives and of ``(batch, length, features)``, otherwise the
            second of ``(batch, features, height, width)``.
    """

    module: nn.Module
    side: Literal["input", "output"]
    owner: Tensor


@dataclass(frozen=True, eq=False)
class Group:
    """Units of one kind in one place, which compete with each other.

    Attributes:
        name: Such as ``text.blocks.0.head``; unique in a model.
        granularity: What a unit is.
        units: How many there are.
        members: All weights that a unit takes with it when it goes.
        silencers: The members whose zeros alone make a unit contribute nothing; a model with
            silenced units computes what the model without them computes. Empty where only
            removal can do that (``hidden``, whose layer norms count every dimension).
        gates: Where units can be scaled in a forward pass; empty where that is not possible.
        multiple: Kept counts are rounded to a multiple of this.
        least: Fewest units that may stay.
    """

    name: str
    granularity: Granularity
    units: int
    members: tuple[Member, ...]
    silencers: tuple[Member, ...]
    gates: tuple[Gate, ...] = ()
    multiple: int = 1
    least: int = 1

    def reduce(self, value: Callable[[Member], Tensor]) -> Tensor:
        """Sum a per-weight value over all the weights of each unit.

        Args:
            value: Gives a tensor of the shape of a member's parameter.

        Returns:
            ``(units,)``.
        """
        return torch.stack([one.sums(value(one), self.units) for one in self.members]).sum(dim=0)

    @torch.no_grad()
    def silence(self, keep: Tensor) -> None:
        """Zero the units that ``keep``, boolean ``(units,)``, leaves out; in place."""
        for member in self.silencers:
            member.parameter.mul_(member.spread(keep.to(member.parameter)))

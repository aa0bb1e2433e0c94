"""How many weights are left when units go, each weight counted once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from retrieval.models.surgery.units import Group


@dataclass
class _Cuts:
    """One parameter: its size, and for each dimension the units that cut it there."""

    shape: tuple[int, ...]
    owners: dict[int, list[NDArray[np.int64]]]


class Ledger:
    """Counts the weights that belong to any unit of some groups.

    A weight can belong to several units: one of a convolution to a channel that comes in and
    to one that goes out, one of a head to the head and to its layer. It stays when all of
    them stay. Each unit cuts a parameter along one dimension, so what is left is a block,
    whose sides are counted; no mask as large as the weights is made.

    Attributes:
        total: Weights that belong to at least one unit.
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups = groups
        self._cuts: dict[int, _Cuts] = {}
        units = sum(group.units for group in groups)
        before = 0
        for group in groups:
            for member in group.members:
                if member.dim is None:
                    raise ValueError(f"{group.name} has single weights as units")
                shape = tuple(member.parameter.shape)
                cuts = self._cuts.setdefault(id(member.parameter), _Cuts(shape, {}))
                owner = member.owner.cpu().numpy()
                # What belongs to no unit belongs to one more that always stays.
                numbered = np.where(owner >= 0, owner + before, units)
                cuts.owners.setdefault(member.dim, []).append(numbered)
            before += group.units
        none_stays = np.zeros(units + 1, dtype=bool)
        none_stays[-1] = True
        self._whole = sum(int(np.prod(one.shape)) for one in self._cuts.values())
        self.total = self._whole - self._left(none_stays)

    def surviving(self, keep: Mapping[str, Tensor]) -> int:
        """Weights of units that are left.

        Args:
            keep: For each group by name, which units stay, boolean ``(units,)``.
        """
        every = [keep[group.name].cpu().numpy() for group in self._groups]
        stays = np.concatenate([*every, np.ones(1, dtype=bool)])
        return self.total - (self._whole - self._left(stays))

    def _left(self, stays: NDArray[np.bool_]) -> int:
        return sum(_block(cuts, stays) for cuts in self._cuts.values())


def _block(cuts: _Cuts, stays: NDArray[np.bool_]) -> int:
    size = 1
    for dim, length in enumerate(cuts.shape):
        if owners := cuts.owners.get(dim):
            size *= int(np.logical_and.reduce([stays[owner] for owner in owners]).sum())
        else:
            size *= length
    return size

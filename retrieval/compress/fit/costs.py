"""What a tower of a shape computes, counted without making it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from retrieval.models.surgery.units import Group


@dataclass
class _Operation:
    """A convolution or linear: its weight, and how often it is applied to one input."""

    shape: tuple[int, ...]
    positions: int
    channelwise: bool
    owners: dict[int, list[tuple[str, NDArray[np.int64]]]] = field(default_factory=dict)

    def sides(self, keep: Mapping[str, NDArray[np.bool_]]) -> list[int]:
        """What is left of each dimension of the weight."""
        sides = list(self.shape)
        for dim, cuts in self.owners.items():
            stays = [
                np.where(owner >= 0, keep[name][np.maximum(owner, 0)], True) for name, owner in cuts
            ]
            sides[dim] = int(np.logical_and.reduce(stays).sum())
        return sides


class Costs:
    """Features of shapes of one tower that explain how long it takes.

    Args:
        tower: The whole tower.
        prefix: Its name in the model.
        groups: Its units.
        given: What it takes, one row.
    """

    def __init__(
        self, tower: nn.Module, prefix: str, groups: Sequence[Group], given: Tensor
    ) -> None:
        self._operations = _observed(tower, prefix, given)
        for group in groups:
            for member in group.members:
                operation = self._operations.get(member.name)
                if operation is not None and member.dim is not None:
                    cut = (group.name, member.owner.cpu().numpy())
                    operation.owners.setdefault(member.dim, []).append(cut)

    def features(self, keep: Mapping[str, Tensor]) -> NDArray[np.float64]:
        """Of the tower with the units that stay.

        Args:
            keep: For each group by name, boolean ``(units,)``.

        Returns:
            Multiplications, those of channelwise convolutions, activations (each in
            millions) and operations, ``(4,)``.
        """
        stays = {name: mask.cpu().numpy() for name, mask in keep.items()}
        found = np.zeros(4)
        for operation in self._operations.values():
            sides = operation.sides(stays)
            products = float(np.prod(sides)) * operation.positions
            found[1 if operation.channelwise else 0] += products / 1e6
            found[2] += sides[0] * operation.positions / 1e6
            found[3] += products > 0
        return found


@torch.no_grad()
def _observed(tower: nn.Module, prefix: str, given: Tensor) -> dict[str, _Operation]:
    """Every convolution and linear, by the name of its weight, in one forward pass."""
    operations: dict[str, _Operation] = {}

    def watch(name: str, module: nn.Conv2d | nn.Linear) -> torch.utils.hooks.RemovableHandle:
        def note(_module: nn.Module, _given: object, result: Tensor) -> None:
            shape = tuple(module.weight.shape)
            channelwise = isinstance(module, nn.Conv2d) and module.groups > 1
            operations[f"{prefix}.{name}.weight"] = _Operation(
                shape, result.numel() // shape[0], channelwise
            )

        return module.register_forward_hook(note)

    hooks = [
        watch(name, module)
        for name, module in tower.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    try:
        tower.eval()(given)
    finally:
        for hook in hooks:
            hook.remove()
    return operations

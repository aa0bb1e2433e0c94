"""Products of activations and their gradients for every sample, by hooks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from retrieval.compress.distributed.ranks import average
from retrieval.compress.importance.gradients import no_gradients
from retrieval.compress.importance.tally import Tallied
from retrieval.models.surgery.units import Group
from retrieval.spec.errors import RecipeError


@dataclass(frozen=True, eq=False)
class Site:
    """An activation whose product with its gradient counts for the units of a group.

    Attributes:
        module: Whose activation.
        side: Its input or its output.
        owner: Unit of each feature, as in `retrieval.models.surgery.units.Gate`.
        bias: Is subtracted from an output first, so that what remains is the part of the
            weight: then the product is that of the weight's row and its gradient.
    """

    module: nn.Module
    side: Literal["input", "output"]
    owner: Tensor
    bias: Tensor | None = None


@dataclass
class _Pass:
    """What one forward pass and its backward pass gave: sums ``(batch, units)``."""

    sites: set[int] = field(default_factory=set)
    sums: Tensor | None = None


def gate_sites(group: Group, criterion: str) -> list[Site]:
    """The gates of a group as sites: their products are each sample's gate derivative.

    Raises:
        RecipeError: The group has no gates; ``criterion`` is named as the one that needs them.
    """
    if not group.gates:
        raise RecipeError(
            f"importance {criterion} scores samples one by one, which {group.name} "
            f"({group.granularity}) has no gates for; choose taylor, platon or magnitude"
        )
    return [Site(gate.module, gate.side, gate.owner) for gate in group.gates]


class SampleProducts:
    """Sums of ``activation * gradient`` over the features of each unit, for each sample.

    Nothing is computed twice: the gradients are those of the ordinary backward pass, so one
    of a batch-wise loss counts what every sample's activation changes in the whole loss.

    Args:
        sites: By name of a group, every place that counts for its units.
        groups: The groups.
    """

    def __init__(self, groups: Sequence[Group], sites: Mapping[str, Sequence[Site]]) -> None:
        self.groups = tuple(groups)
        self._passes: dict[str, list[_Pass]] = {group.name: [] for group in groups}
        self._hooks = [
            self._attach(group, number, site)
            for group in groups
            for number, site in enumerate(sites[group.name])
        ]

    def take(self) -> dict[str, Tensor]:
        """Absolute sums of each unit, added up over the samples since the last call.

        Returns:
            By group name, float32 ``(units,)``.

        Raises:
            TrainingError: No gradient reached a group.
        """
        taken = {}
        for group in self.groups:
            sums = [one.sums for one in self._passes[group.name] if one.sums is not None]
            if not sums:
                raise no_gradients(group)
            taken[group.name] = torch.stack([one.abs().sum(dim=0) for one in sums]).sum(dim=0)
            self._passes[group.name] = []
        return taken

    def close(self) -> None:
        """Take the hooks off."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def _attach(self, group: Group, number: int, site: Site) -> RemovableHandle:
        def on_input(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            return (self._watched(group, number, site, inputs[0]), *inputs[1:])

        def on_output(_module: nn.Module, _inputs: tuple[Any, ...], output: Tensor) -> Tensor:
            return self._watched(group, number, site, output)

        if site.side == "input":
            return site.module.register_forward_pre_hook(on_input)
        return site.module.register_forward_hook(on_output)

    def _watched(self, group: Group, number: int, site: Site, activation: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and activation.requires_grad):
            return activation
        passes = self._passes[group.name]
        if not passes or number in passes[-1].sites:
            passes.append(_Pass())
        present = passes[-1]
        present.sites.add(number)
        # Others may read the same tensor, so the gradient is taken of an alias; and activation
        # functions may work in place on an output, so of an output it is a copy.
        alias = activation.clone() if site.side == "output" else activation.view_as(activation)
        value = activation.detach()

        def add(gradient: Tensor) -> None:
            products = _by_unit(site, value, gradient, group.units)
            present.sums = products if present.sums is None else present.sums + products

        alias.register_hook(add)
        return alias


def _by_unit(site: Site, value: Tensor, gradient: Tensor, units: int) -> Tensor:
    """Sum of products over all positions and over each unit's features, ``(batch, units)``."""
    value = value.float()
    if site.bias is not None:
        value = value - site.bias.detach()
    products = value * gradient.float()
    if products.ndim == 4 and not isinstance(site.module, nn.Linear):
        products = products.movedim(1, -1)
    by_feature = products.reshape(len(products), -1, products.shape[-1]).sum(dim=1)
    owner = site.owner.to(by_feature.device)
    own = owner >= 0
    sums = torch.zeros(len(by_feature), units, device=by_feature.device)
    return sums.index_add(1, owner[own], by_feature[:, own])


class SampleImportance(Tallied):
    """Sum over a batch's samples of the absolute products of each unit, averaged over steps.

    Gradients are those of the loss of the batch, a mean over its samples, and not clipped.

    Args:
        groups: The units to score.
        sites: By group name, what counts for it.
        normalise: As in `Tallied`.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        sites: Mapping[str, Sequence[Site]],
        *,
        normalise: bool = False,
    ) -> None:
        super().__init__(groups, normalise=normalise)
        self.products = SampleProducts(groups, sites)

    def before_step(self, rate: float) -> None:
        products = self.products.take()
        average(products.values())
        self.tally.add(products)

    def close(self) -> None:
        self.products.close()

"""Numbers that multiply the activations of units in a forward pass."""

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from retrieval.models.low_rank import LowRankLinear
from retrieval.models.surgery.units import Gate, Group
from retrieval.spec.errors import SurgeryError


def gated(groups: Iterable[Group], values: Mapping[str, Tensor]) -> "Gates":
    """Multiply every gated activation of the groups' units by a value.

    A unit whose value is zero contributes nothing, exactly as if it were silenced.

    Args:
        groups: Each must have gates.
        values: By group name, ``(units,)``, or ``(batch, units)`` for a value of its own for
            each sample; gradients flow to them.

    Returns:
        Gates that work at once, until the end of a ``with`` or until `Gates.remove`.

    Raises:
        SurgeryError: A group cannot be gated, or its values are missing or of another shape.

    Example:
        >>> ones = {g.name: torch.ones(g.units, requires_grad=True) for g in groups}
        >>> with gated(groups, ones):  # doctest: +SKIP
        ...     loss(model).backward()
    """
    return Gates(groups, values)


class Gates:
    """Values at work in a model; see `gated`.

    Attributes:
        values: By group name; may be replaced between forward passes, such as with a new
            random draw.
    """

    def __init__(self, groups: Iterable[Group], values: Mapping[str, Tensor]) -> None:
        groups = list(groups)
        for group in groups:
            _check(group, values)
        self.values: MutableMapping[str, Tensor] = dict(values)
        self._hooks = [self._attach(group, gate) for group in groups for gate in group.gates]

    def remove(self) -> None:
        """Let the model compute as before; a second call does nothing."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()

    def _attach(self, group: Group, gate: Gate) -> torch.utils.hooks.RemovableHandle:
        if gate.side == "output":
            return gate.module.register_forward_hook(
                lambda _module, _inputs, output: self._scaled(group, gate, output)
            )

        def scale_input(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            return (self._scaled(group, gate, inputs[0]), *inputs[1:])

        return gate.module.register_forward_pre_hook(scale_input)

    def _scaled(self, group: Group, gate: Gate, activation: Tensor) -> Tensor:
        values = self.values[group.name].to(activation.device, activation.dtype)
        owner = gate.owner.to(activation.device)
        of_features = torch.where(owner >= 0, values[..., owner.clamp(min=0)], 1)
        shape = [1] * activation.ndim
        shape[_feature_dim(gate.module, activation)] = len(owner)
        if values.ndim == 2:
            shape[0] = len(values)
        return activation * of_features.view(shape)


def _feature_dim(module: nn.Module, activation: Tensor) -> int:
    if isinstance(module, nn.Linear | LowRankLinear) or activation.ndim != 4:
        return -1
    return 1


def _check(group: Group, values: Mapping[str, Tensor]) -> None:
    if not group.gates:
        raise SurgeryError(f"{group.name} has no place where its units could be scaled")
    if group.name not in values:
        raise SurgeryError(f"no values are given for the gates of {group.name}")
    shape = tuple(values[group.name].shape)
    if len(shape) not in (1, 2) or shape[-1] != group.units:
        raise SurgeryError(
            f"{group.name}: values of shape {shape} do not fit its {group.units} units"
        )

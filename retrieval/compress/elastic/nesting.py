"""Which units each size of a nested model has: a prefix of the heads, neurons and channels."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from pydantic import ValidationError
from torch import Tensor

from retrieval.compress.elastic.tiers import Tier, Tiers
from retrieval.compress.prune.select import Keep
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.surgery.find import find_groups
from retrieval.models.surgery.units import Group
from retrieval.spec.base import Spec
from retrieval.spec.errors import CheckpointError, SurgeryError
from retrieval.spec.tower import Tower

Nested = Literal["head", "neuron", "channel"]
"""Kinds of units that the width of a tier is a share of."""

NESTED: tuple[Nested, ...] = ("head", "neuron", "channel")

# A share times a number of units may lie a hair above the whole number that is meant.
_SLACK = 1e-9


class Nesting(Spec):
    """How a checkpoint is nested; lies under ``elastic`` in its ``metrics.json``.

    Heads, neurons and channels are stored in the order of their importance, so that a
    smaller model takes the first of them. Layers are stored in the order in which they
    compute, so of them the order is listed.
    """

    granularity: tuple[Nested, ...]
    tiers: Tiers
    layers: dict[Tower, tuple[int, ...]]
    """For each nested tower its layers, the last to go first; empty when no layer can go."""


def read_nesting(metrics: Mapping[str, Any]) -> Nesting | None:
    """The nesting that a checkpoint's metrics speak of; None if it was not trained for one.

    Raises:
        CheckpointError: It is malformed.
    """
    value = metrics.get("elastic")
    if value is None:
        return None
    try:
        return Nesting.model_validate(value["nesting"])
    except (ValidationError, TypeError, KeyError) as error:
        raise CheckpointError(
            "metrics.json: elastic.nesting is damaged; copy the checkpoint again"
        ) from error


def nested_groups(
    model: DualEncoder, granularity: Sequence[Nested], towers: Sequence[Tower]
) -> list[Group]:
    """Groups of the towers whose units can be nested, with the layers where they can go.

    Kinds of units that a tower does not have are left out there.

    Raises:
        SurgeryError: No tower has any such unit.
    """
    groups: list[Group] = []
    missing: SurgeryError | None = None
    for tower in towers:
        found: list[Group] = []
        for kind in granularity:
            try:
                found += find_groups(model, kind, tower)
            except SurgeryError as error:
                missing = error
        if any(group.granularity != "channel" for group in found):
            found += find_groups(model, "layer", tower)
        groups += found
    if not groups and missing is not None:
        raise missing
    return groups


def side_of(group: Group) -> Tower:
    """The tower that a group belongs to."""
    return "text" if group.name.startswith("text.") else "image"


def keep_of(groups: Sequence[Group], layers: Mapping[Tower, Sequence[int]], tier: Tier) -> Keep:
    """The units that a tier has; those of a smaller tier are among them.

    Args:
        groups: Of `nested_groups`; each keeps at least its ``least`` and a number that is
            rounded up to its ``multiple``.
        layers: As in `Nesting`.
        tier: The size.
    """
    return {group.name: _first(group, layers, tier) for group in groups}


def _first(group: Group, layers: Mapping[Tower, Sequence[int]], tier: Tier) -> Tensor:
    is_layer = group.granularity == "layer"
    share = tier.depth if is_layer else tier.width
    count = max(math.ceil(share * group.units - _SLACK), group.least)
    count = min(-(-count // group.multiple) * group.multiple, group.units)
    mask = torch.zeros(group.units, dtype=torch.bool)
    mask[list(layers[side_of(group)])[:count] if is_layer else slice(count)] = True
    return mask

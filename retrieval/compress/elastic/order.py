"""Putting units in the order of their importance, without changing what a model computes."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.surgery.units import Group, Member


@torch.no_grad()
def reorder(model: DualEncoder, groups: Sequence[Group], scores: Mapping[str, Tensor]) -> None:
    """Move units within their groups, the most important first; in place.

    Every weight that belongs to a unit moves with it, so that the model computes what it
    computed before.

    Args:
        model: Has the groups.
        groups: Heads, neurons or channels.
        scores: For each group by name, ``(units,)``; equal scores keep their order.
    """
    for group in groups:
        order = scores[group.name].cpu().argsort(descending=True, stable=True)
        for member in group.members:
            _move(model, member, order)


def spread_order(layers: int) -> tuple[int, ...]:
    """An order of layers of which every prefix is spread over the depth.

    The first, the last, and then always the one farthest from those chosen before; of
    equally far ones the earlier. So a prefix is close to TinyBERT's uniform map and, unlike
    it, is nested in the longer ones.
    """
    chosen = [0] if layers == 1 else [0, layers - 1]
    while len(chosen) < layers:
        others = [layer for layer in range(layers) if layer not in chosen]
        chosen.append(max(others, key=lambda layer: min(abs(layer - one) for one in chosen)))
    return tuple(chosen)


def _move(model: DualEncoder, member: Member, order: Tensor) -> None:
    assert member.dim is not None
    places = _places(member.owner.cpu(), order).to(member.parameter.device)
    moved = member.parameter.index_select(member.dim, places)
    member.parameter.copy_(moved)
    if member.dim == 0:
        # Statistics of batch norms lie beside their weights, in buffers.
        module = model.get_submodule(member.name.rpartition(".")[0])
        first = next(module.named_parameters(recurse=False), None)
        if first is None or first[1] is not member.parameter:
            return
        for buffer in module.buffers(recurse=False):
            if buffer.ndim and len(buffer) == len(places):
                buffer.copy_(buffer.index_select(0, places))


def _places(owner: Tensor, order: Tensor) -> Tensor:
    """Where each index along a dimension takes its content from, int64 ``(size,)``.

    The k-th index of the unit at place p takes that of the k-th index of unit ``order[p]``;
    an index of no unit keeps its own.
    """
    places = torch.arange(len(owner))
    by_unit: list[list[int]] = [[] for _ in order]
    for index, unit in enumerate(owner.tolist()):
        if unit >= 0:
            by_unit[unit].append(index)
    for place, unit in enumerate(order.tolist()):
        places[by_unit[place]] = torch.tensor(by_unit[unit])
    return places

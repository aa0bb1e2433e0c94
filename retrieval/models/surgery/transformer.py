"""Groups of a transformer tower of ours: heads, neurons, layers, width and single weights."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from retrieval.models.low_rank import Linear, LowRankEmbedding, input_side, output_side
from retrieval.models.surgery.units import Gate, Granularity, Group, Member
from retrieval.models.text import TextTransformer
from retrieval.models.transformer import Block
from retrieval.models.vit import VisionTransformer

OurTransformer = TextTransformer | VisionTransformer

WIDTH_MULTIPLE = 8


def transformer_groups(
    tower: OurTransformer, prefix: str, granularity: Granularity
) -> list[Group] | None:
    """Groups of one granularity, from the first block to the last.

    Args:
        tower: Linears stored as two factors are cut at their outer sides; ranks stay.
        prefix: What the tower is called in the model: ``text`` or ``image``.
        granularity: See `Group`.

    Returns:
        None where a transformer has no such units.
    """
    kinds: dict[str, Callable[[_Cutter], list[Group]]] = {
        "head": _heads,
        "neuron": _neurons,
        "layer": _layers,
        "hidden": _hidden,
        "weight": _weights,
    }
    return kinds[granularity](_Cutter(tower, prefix)) if granularity in kinds else None


def weight_group(name: str, parameter: nn.Parameter) -> Group:
    """A group in which every weight of one parameter is a unit."""
    whole = (Member(name, parameter, None, torch.empty(0, dtype=torch.int64)),)
    return Group(name, "weight", parameter.numel(), members=whole, silencers=whole)


class _Cutter:
    """Makes members of a tower's parameters under their names in the model."""

    def __init__(self, tower: OurTransformer, prefix: str) -> None:
        self.tower = tower
        self.prefix = prefix
        self._names = {
            id(parameter): f"{prefix}.{name}" for name, parameter in tower.named_parameters()
        }

    @property
    def blocks(self) -> Iterable[tuple[str, Block]]:
        """Names and blocks."""
        for number, block in enumerate(self.tower.blocks):
            yield f"{self.prefix}.blocks.{number}", block

    def name(self, parameter: nn.Parameter) -> str:
        """Name of a parameter in the model."""
        return self._names[id(parameter)]

    def cut(self, parameter: nn.Parameter, dim: int, owner: Tensor) -> Member:
        """A member whose parts lie along ``dim``."""
        return Member(self.name(parameter), parameter, dim, owner)

    def vectors(self, module: nn.Module, owner: Tensor) -> tuple[Member, ...]:
        """Every parameter of a module along its first dimension."""
        return tuple(self.cut(parameter, 0, owner) for parameter in module.parameters())

    def rows(self, linear: Linear, owner: Tensor) -> tuple[Member, ...]:
        """What makes each output feature of a linear: rows and biases."""
        return self.vectors(output_side(linear), owner)

    def columns(self, linear: Linear, owner: Tensor) -> Member:
        """What each input feature of a linear is multiplied by."""
        return self.cut(input_side(linear).weight, 1, owner)


def _heads(cutter: _Cutter) -> list[Group]:
    groups = []
    for name, block in cutter.blocks:
        attention = block.attention
        owner = torch.arange(attention.heads).repeat_interleave(attention.head_dim)
        inputs = (attention.query, attention.key, attention.value)
        rows = [member for linear in inputs for member in cutter.rows(linear, owner)]
        columns = cutter.columns(attention.output, owner)
        groups.append(
            Group(
                name=f"{name}.head",
                granularity="head",
                units=attention.heads,
                members=(*rows, columns),
                silencers=(columns,),
                gates=(Gate(attention.output, "input", owner),),
            )
        )
    return groups


def _neurons(cutter: _Cutter) -> list[Group]:
    groups = []
    for name, block in cutter.blocks:
        neurons = input_side(block.down).in_features
        owner = torch.arange(neurons)
        columns = cutter.columns(block.down, owner)
        groups.append(
            Group(
                name=f"{name}.neuron",
                granularity="neuron",
                units=neurons,
                members=(*cutter.rows(block.up, owner), columns),
                silencers=(columns,),
                gates=(Gate(block.down, "input", owner),),
                multiple=WIDTH_MULTIPLE,
                least=WIDTH_MULTIPLE,
            )
        )
    return groups


def _layers(cutter: _Cutter) -> list[Group]:
    members: list[Member] = []
    silencers: list[Member] = []
    gates = []
    for number, (_, block) in enumerate(cutter.blocks):
        members += (
            cutter.cut(parameter, 0, torch.full((len(parameter),), number))
            for parameter in block.parameters()
        )
        for linear in (block.attention.output, block.down):
            owner = torch.full((output_side(linear).out_features,), number)
            silencers += cutter.rows(linear, owner)
            gates.append(Gate(linear, "output", owner))
    return [
        Group(
            name=f"{cutter.prefix}.layer",
            granularity="layer",
            units=len(cutter.tower.blocks),
            members=tuple(members),
            silencers=tuple(silencers),
            gates=tuple(gates),
        )
    ]


def _hidden(cutter: _Cutter) -> list[Group]:
    tower = cutter.tower
    width = tower.projection.in_features
    owner = torch.arange(width)
    members = [*_ends(cutter, owner), *cutter.vectors(tower.final_norm, owner)]
    for _, block in cutter.blocks:
        linears = block.linears
        for norm in (block.attention_norm, block.mlp_norm):
            members += cutter.vectors(norm, owner)
        members += (cutter.columns(linears[name], owner) for name in ("query", "key", "value"))
        members += cutter.rows(linears["output"], owner)
        members.append(cutter.columns(linears["up"], owner))
        members += cutter.rows(linears["down"], owner)
    members.append(cutter.columns(tower.projection, owner))
    return [
        Group(
            name=f"{cutter.prefix}.hidden",
            granularity="hidden",
            units=width,
            members=tuple(members),
            silencers=(),
            multiple=WIDTH_MULTIPLE,
            least=WIDTH_MULTIPLE,
        )
    ]


def _ends(cutter: _Cutter, owner: Tensor) -> list[Member]:
    """What the residual width crosses outside the blocks, apart from norm and projection."""
    tower = cutter.tower
    if isinstance(tower, VisionTransformer):
        return [
            *cutter.vectors(tower.patch_embedding, owner),
            cutter.cut(tower.class_token, 2, owner),
            cutter.cut(tower.position_embedding, 2, owner),
            *cutter.vectors(tower.first_norm, owner),
        ]
    embedding = tower.token_embedding
    if isinstance(embedding, LowRankEmbedding):
        members = [cutter.cut(embedding.expand.weight, 0, owner)]
    else:
        members = [cutter.cut(embedding.weight, 1, owner)]
    members.append(cutter.cut(tower.position_embedding, 1, owner))
    if tower.bag_projection is not None:
        members.append(cutter.columns(tower.bag_projection, owner))
    return members


def _weights(cutter: _Cutter) -> list[Group]:
    return [
        weight_group(cutter.name(parameter), parameter)
        for _, block in cutter.blocks
        for linear in block.linears.values()
        for parameter in linear.parameters()
        if parameter.ndim > 1
    ]

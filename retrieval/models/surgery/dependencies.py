"""Which channels of a timm backbone go together: a trace by Torch-Pruning.

Its dependency graph (Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023) says
which channels of which layers can only go together, such as those that a residual stream adds.
"""

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrieval.models.surgery.widths import channelwise, width
from retrieval.models.timm_tower import PROBE_SIZE, TimmImageTower, output_size
from retrieval.spec.errors import MissingExtraError, SurgeryError
from retrieval.spec.model import TimmTower
from retrieval.spec.reasons import in_one_line

MULTIPLE = 8
"""Kept counts are multiples of this, and fewer than this never stay."""


@dataclass(frozen=True, eq=False)
class Cut:
    """A tensor of the tower, part of which goes with each channel.

    Attributes:
        name: In the tower's state, such as ``backbones.0.bn1.running_mean``.
        dim: Dimension along which it is cut.
        owner: Channel of each index along ``dim``, -1 for none, int64 ``(size,)``.
        reads: Whether these are the columns of a layer that takes the channels in.
    """

    name: str
    dim: int
    owner: Tensor
    reads: bool


@dataclass(frozen=True, eq=False)
class Plan:
    """Channels that compete, and every tensor that loses a part with each."""

    name: str
    units: int
    cuts: tuple[Cut, ...]


def names_of(spec: TimmTower) -> str:
    """Names of the backbones, for people."""
    return ", ".join(backbone.name for backbone in spec.backbones)


def plans_of(tower: TimmImageTower, spec: TimmTower) -> list[Plan]:
    """All groups that the dependency graph names and whose every tensor can be cut.

    Raises:
        SurgeryError: A backbone has attention or cannot be traced.
        MissingExtraError: Torch-Pruning is not installed.
    """
    for name, module in tower.named_modules():
        if hasattr(module, "num_heads"):  # Tracing takes minutes and does not see the heads.
            raise SurgeryError(
                f"no channels of {names_of(spec)} can be removed: {name} is attention"
            )
    plans = []
    start = 0
    for number, (backbone, one) in enumerate(zip(tower.backbones, spec.backbones, strict=True)):
        size = output_size(backbone, one)
        # Each on its own: the graph is at a loss where joined features are projected.
        alone = _alone(tower, number, slice(start, start + size))
        after = len(tower.feature_mean) - start - size
        for place, (units, cuts) in enumerate(_traced(alone, one.name)):
            placed = tuple(_placed(cut, number, start, after) for cut in cuts)
            plans.append(Plan(f"image.backbones.{number}.channel.{place}", units, placed))
        start += size
    return plans


def _alone(tower: TimmImageTower, number: int, features: slice) -> TimmImageTower:
    """A copy with one backbone, to be traced."""
    alone = copy.deepcopy(tower).cpu().float().eval()
    alone.backbones = nn.ModuleList([alone.backbones[number]])
    alone.projection = nn.Linear(features.stop - features.start, alone.projection.out_features)
    alone.feature_mean = alone.feature_mean[features]
    alone.feature_scale = alone.feature_scale[features]
    return alone.requires_grad_(True)


def _placed(cut: Cut, number: int, before: int, after: int) -> Cut:
    """A cut of a backbone alone as one of the whole tower."""
    if cut.name.startswith("backbones.0."):
        name = cut.name.replace("backbones.0.", f"backbones.{number}.", 1)
        return dataclasses.replace(cut, name=name)
    return dataclasses.replace(cut, owner=F.pad(cut.owner, (before, after), value=-1))


def _traced(tower: TimmImageTower, name: str) -> list[tuple[int, tuple[Cut, ...]]]:
    """Units and cuts of each group of a tower of one backbone, in the order of its modules."""
    try:
        import torch_pruning
    except ImportError as error:
        raise MissingExtraError("Pruning channels", "train") from error
    graph = torch_pruning.DependencyGraph()
    try:
        with torch.enable_grad():
            pixels = torch.zeros(1, 3, PROBE_SIZE, PROBE_SIZE)
            graph.build_dependency(tower, pixels, verbose=False)
        found = list(graph.get_all_groups(ignored_layers=[tower.projection]))
    except Exception as error:  # A tracer of any of a thousand architectures.
        reason = in_one_line(error)
        raise SurgeryError(f"channels of {name} cannot be traced: {reason}") from error
    order = {module: place for place, module in enumerate(tower.modules())}
    found.sort(key=lambda items: order[items[0].dep.target.module])
    cut = [(len(items[0].idxs), _cuts(tower, graph, items)) for items in found]
    return [(units, cuts) for units, cuts in cut if units > MULTIPLE and cuts is not None]


def _cuts(tower: TimmImageTower, graph: Any, items: Any) -> tuple[Cut, ...] | None:
    """What a group cuts; None when one of its layers cannot be cut or nothing reads it."""
    modules = dict(tower.named_modules())
    names = {id(module): name for name, module in modules.items()}
    names |= {id(parameter): name for name, parameter in tower.named_parameters()}
    cuts: dict[tuple[str, int], Cut] = {}
    for item in items:
        node = item.dep.target.module
        name = names.get(id(node))
        if name is None:  # An operation without weights.
            continue
        name, module = _holder(name, node, modules)
        if width(module) is None:
            return None
        reads = not channelwise(module) and graph.is_in_channel_pruning_fn(item.dep.handler)
        if module is tower.projection and not reads:
            return None
        for tensor, dim in _tensors(tower, name, module, reads):
            owner = _owner(tower.state_dict()[tensor].shape[dim], len(items[0].idxs), item)
            if owner is None:
                return None
            cuts[tensor, dim] = Cut(tensor, dim, owner, reads and dim == 1)
    return tuple(cuts.values()) if any(cut.reads for cut in cuts.values()) else None


def _holder(name: str, node: Any, modules: Mapping[str, nn.Module]) -> tuple[str, nn.Module]:
    if isinstance(node, nn.Module):
        return name, node
    owner = name.rpartition(".")[0]
    return owner, modules[owner]


def _owner(size: int, units: int, item: Any) -> Tensor | None:
    """Unit of each index along a dimension of a tensor, -1 for none.

    None where an index would have several units or lies outside, as the graph sometimes says
    of channels that are split, or where a layer has some of the units only: it could lose all.
    """
    indices = set(item.idxs)
    if len(indices) < len(item.idxs) or max(indices) >= size or len(set(item.root_idxs)) < units:
        return None
    owner = torch.full((size,), -1)
    owner[torch.tensor(item.idxs)] = torch.tensor(item.root_idxs)
    return owner


def _tensors(
    tower: TimmImageTower, name: str, module: nn.Module, reads: bool
) -> Iterator[tuple[str, int]]:
    """Tensors of a module that hold a part for each channel, and along which dimension."""
    if reads:
        yield f"{name}.weight", 1
        if module is tower.projection:
            yield "feature_mean", 0
            yield "feature_scale", 0
        return
    for tensor, value in module.state_dict().items():
        if value.ndim:
            yield f"{name}.{tensor}", 0

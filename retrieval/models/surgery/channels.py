"""Channels of convolutional networks of timm, with all the weights that go with each.

Torch-Pruning's dependency graph (Fang et al., "DepGraph: Towards Any Structural Pruning",
CVPR 2023) says which channels of which layers only go together, such as those that a residual
stream adds up. A channel is silenced in the columns of the layers that read it: that is exact
whatever activation, batch norm or squeeze-and-excitation stands between, and what makes the
channel stays alive, so that it can come back.
"""

import copy
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.surgery.units import Gate, Group, Kept, Member
from retrieval.models.surgery.widths import channelwise, width
from retrieval.models.timm_tower import PROBE_SIZE, TimmImageTower, output_size
from retrieval.spec.errors import MissingExtraError, SurgeryError
from retrieval.spec.model import TimmTower

MULTIPLE = 8

State = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class _Cut:
    """A tensor of the tower by name; ``reads`` when its columns take the channels in."""

    name: str
    dim: int
    owner: Tensor
    reads: bool


@dataclass(frozen=True, eq=False)
class _Plan:
    """Channels that compete, and every tensor that loses a part with each."""

    name: str
    units: int
    cuts: tuple[_Cut, ...]


def channel_groups(model: DualEncoder) -> list[Group]:
    """Groups of channels that can be taken out of the backbones of an image tower.

    What a backbone computes with some channels silenced and what it computes without them is
    compared on a copy with random weights; groups where the two differ are left out. Left out
    are also the input, the embedding and layers that mix a fixed number of channels (layer and
    group norms, attention, convolutions in groups), so that some networks have few groups.

    Returns:
        Groups named ``image.backbones.0.channel.3``, counted in the order of the network.

    Raises:
        SurgeryError: The tower is not of kind timm, or nothing can be taken out of it.
        MissingExtraError: Torch-Pruning is not installed.
    """
    tower, spec = model.image, model.config.image
    if not isinstance(tower, TimmImageTower) or not isinstance(spec, TimmTower):
        raise SurgeryError(
            f"channels can be removed from image towers of kind timm, not from kind {spec.kind}"
        )
    with torch.random.fork_rng(devices=[]):
        plans = _sound(tower, spec, _plans(tower, spec))
    if not plans:
        raise SurgeryError(
            f"no channels of {_names(spec)} can be removed: its layers mix a fixed number of "
            "channels; MobileNet, EfficientNet, ResNet, RepViT and other convolutional networks "
            "with batch norm are fit for it"
        )
    return [_group(plan, tower) for plan in plans]


def shrink_channels(
    tower: TimmImageTower, spec: TimmTower, kept: Kept
) -> tuple[TimmTower, dict[str, Tensor]]:
    """Take channels out for good.

    Args:
        tower: Is not changed.
        spec: Describes it.
        kept: By the names of `channel_groups`; other names are ignored and groups that are
            not named stay whole.

    Returns:
        Description of the smaller tower, and the weights that fit it.
    """
    with torch.random.fork_rng(devices=[]):
        return _shrunk(tower, spec, _plans(tower, spec), kept)


def _names(spec: TimmTower) -> str:
    return ", ".join(backbone.name for backbone in spec.backbones)


def _plans(tower: TimmImageTower, spec: TimmTower) -> list[_Plan]:
    """All groups that the dependency graph names and whose every tensor can be cut."""
    for name, module in tower.named_modules():
        if hasattr(module, "num_heads"):  # The graph takes hours and does not see the heads.
            raise SurgeryError(f"no channels of {_names(spec)} can be removed: {name} is attention")
    plans = []
    start = 0
    for number, (backbone, one) in enumerate(zip(tower.backbones, spec.backbones, strict=True)):
        size = output_size(backbone, one)
        # Each on its own: the graph is at a loss where joined features are projected.
        alone = _alone(tower, number, slice(start, start + size))
        after = len(tower.feature_mean) - start - size
        for place, (units, cuts) in enumerate(_traced(alone, one.name)):
            placed = tuple(_placed(cut, number, start, after) for cut in cuts)
            plans.append(_Plan(f"image.backbones.{number}.channel.{place}", units, placed))
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


def _placed(cut: _Cut, number: int, before: int, after: int) -> _Cut:
    """A cut of a backbone alone as one of the whole tower."""
    if cut.name.startswith("backbones.0."):
        name = cut.name.replace("backbones.0.", f"backbones.{number}.", 1)
        return dataclasses.replace(cut, name=name)
    return dataclasses.replace(cut, owner=F.pad(cut.owner, (before, after), value=-1))


def _traced(tower: TimmImageTower, name: str) -> list[tuple[int, tuple[_Cut, ...]]]:
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
        reason = " ".join(str(error).split())
        raise SurgeryError(f"channels of {name} cannot be traced: {reason}") from error
    order = {module: place for place, module in enumerate(tower.modules())}
    found.sort(key=lambda items: order[items[0].dep.target.module])
    cut = [(len(items[0].idxs), _cuts(tower, graph, items)) for items in found]
    return [(units, cuts) for units, cuts in cut if units > MULTIPLE and cuts is not None]


def _cuts(tower: TimmImageTower, graph: Any, items: Any) -> tuple[_Cut, ...] | None:
    """What a group cuts; None when one of its layers cannot be cut or nothing reads it."""
    modules = dict(tower.named_modules())
    names = {id(module): name for name, module in modules.items()}
    names |= {id(parameter): name for name, parameter in tower.named_parameters()}
    cuts: dict[tuple[str, int], _Cut] = {}
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
            cuts[tensor, dim] = _Cut(tensor, dim, owner, reads and dim == 1)
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


def _group(plan: _Plan, tower: TimmImageTower, prefix: str = "image.") -> Group:
    """A plan as a group of the parameters of a tower that has the traced architecture."""
    parameters = dict(tower.named_parameters())
    members = {
        cut: Member(prefix + cut.name, parameters[cut.name], cut.dim, cut.owner)
        for cut in plan.cuts
        if cut.name in parameters
    }
    silencers = {cut: member for cut, member in members.items() if cut.reads}
    return Group(
        name=plan.name,
        granularity="channel",
        units=plan.units,
        members=tuple(members.values()),
        silencers=tuple(silencers.values()),
        gates=tuple(
            Gate(tower.get_submodule(cut.name.rpartition(".")[0]), "input", cut.owner)
            for cut in silencers
        ),
        multiple=MULTIPLE,
        least=MULTIPLE,
    )


def _shrunk(
    tower: TimmImageTower, spec: TimmTower, plans: Sequence[_Plan], kept: Kept
) -> tuple[TimmTower, dict[str, Tensor]]:
    state = {name: tensor.detach() for name, tensor in tower.state_dict().items()}
    stays: dict[tuple[str, int], Tensor] = {}
    for plan in plans:
        if plan.name not in kept:
            continue
        # One more entry, for what belongs to no unit and has owner -1.
        keep = torch.zeros(plan.units + 1, dtype=torch.bool)
        keep[kept[plan.name].cpu()] = True
        keep[-1] = True
        for cut in plan.cuts:
            here = keep[cut.owner]
            stays[cut.name, cut.dim] = stays.get((cut.name, cut.dim), here) & here
    for (name, dim), here in stays.items():
        state[name] = state[name].index_select(dim, here.nonzero().flatten().to(state[name].device))
    backbones = []
    for number, backbone in enumerate(spec.backbones):
        widths = _widths(tower, f"backbones.{number}.", {name for name, _ in stays}, state)
        backbones.append(backbone.model_copy(update={"widths": backbone.widths | widths}))
    smaller = spec.model_copy(update={"backbones": tuple(backbones)})
    return smaller, {name: tensor.clone() for name, tensor in state.items()}


def _widths(
    tower: TimmImageTower, prefix: str, changed: set[str], state: State
) -> dict[str, tuple[int, int]]:
    """New widths of the modules under a prefix whose tensors changed."""
    holders = {name.rpartition(".")[0] for name in changed if name.startswith(prefix)}
    widths = {}
    for name, module in tower.named_modules():
        if name not in holders:
            continue
        first = next(iter(module.state_dict()))  # The weight, or the only vector.
        shape = state[f"{name}.{first}"].shape
        inputs = shape[0] if channelwise(module) else shape[1]
        widths[name.removeprefix(prefix)] = (inputs, shape[0])
    return widths


def _sound(tower: TimmImageTower, spec: TimmTower, plans: list[_Plan]) -> list[_Plan]:
    """The plans by which removing is the same as silencing; by halves, as most are."""
    if not plans or _removal_is_silence(tower, spec, plans):
        return plans
    if len(plans) == 1:
        return []
    half = len(plans) // 2
    return _sound(tower, spec, plans[:half]) + _sound(tower, spec, plans[half:])


def _removal_is_silence(tower: TimmImageTower, spec: TimmTower, plans: Sequence[_Plan]) -> bool:
    """Whether a copy without every second channel equals one where those are silenced."""
    from timm.utils.model import reparameterize_model

    trial = _randomised(tower)
    kept = {plan.name: torch.arange(0, plan.units, 2) for plan in plans}
    smaller, state = _shrunk(trial, spec, plans, kept)
    pixels = torch.rand(2, 3, PROBE_SIZE, PROBE_SIZE, dtype=torch.float64)
    for plan in plans:
        _group(plan, trial).silence(torch.arange(plan.units) % 2 == 0)
    try:
        small = TimmImageTower(smaller, trial.projection.out_features).double().eval()
        small.load_state_dict(state)
        with torch.no_grad():
            expected, found = trial(pixels), small(pixels)
            # Exporters fold branches for training into one convolution, in float32.
            merged = reparameterize_model(small.float())(pixels.float()).double()
    except Exception:  # Any of a thousand architectures, with sizes that it was not made for.
        return False
    scale = expected.abs().max()
    return bool((found - expected).abs().max() < 1e-8 * scale) and bool(
        (merged - expected).abs().max() < 1e-3 * scale
    )


def _randomised(tower: TimmImageTower) -> TimmImageTower:
    """A copy in float64 in which every weight counts; a trained or fresh one may have zeros."""
    trial = copy.deepcopy(tower).cpu().double().eval()
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in trial.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=parameter[0].numel() ** -0.5, generator=random)
        for tensor in (*trial.parameters(), *trial.buffers()):
            # Biases, scales, and mean and variance of batch norms.
            if tensor.is_floating_point() and tensor.shape[:1].numel() == tensor.numel():
                tensor.uniform_(0.5, 1.5, generator=random)
    return trial

"""Channels of convolutional networks of timm that can be taken out.

A channel is silenced in the columns of the layers that read it: that is exact whatever
activation, batch norm or squeeze-and-excitation stands between, and what makes the channel
stays alive, so that it can come back.

What was tried, with the parameters that are left when 40 % of the channels of every group stay:

==========================================================================  =============
MobileNetV1, V2, V3, V4 (conv), EfficientNet (also lite), ResNet, RepViT,   0.12 to 0.17
RepVGG, HGNetV2, StarNet, DenseNet
ResNeXt, RegNet, GhostNet (some layers take channels in groups), FastViT    0.36 to 0.47
and ConvNeXt (between blocks they stay as wide as they are)
MobileOne (between most blocks they stay as wide as they are)               0.84
ViT, EdgeNeXt, MobileNetV4 (hybrid) and whatever else has attention         refused
==========================================================================  =============
"""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.surgery.dependencies import MULTIPLE, Plan, names_of, plans_of
from retrieval.models.surgery.units import Gate, Group, Kept, Member
from retrieval.models.surgery.widths import channelwise
from retrieval.models.timm_tower import PROBE_SIZE, TimmImageTower
from retrieval.spec.errors import SurgeryError
from retrieval.spec.model import TimmTower

State = Mapping[str, Tensor]


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
        plans = _sound(tower, spec, plans_of(tower, spec))
    if not plans:
        raise SurgeryError(
            f"no channels of {names_of(spec)} can be removed: its layers mix a fixed number of "
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
        return _shrunk(tower, spec, plans_of(tower, spec), kept)


def _group(plan: Plan, tower: TimmImageTower, prefix: str = "image.") -> Group:
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
    tower: TimmImageTower, spec: TimmTower, plans: Sequence[Plan], kept: Kept
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


def _sound(tower: TimmImageTower, spec: TimmTower, plans: list[Plan]) -> list[Plan]:
    """The plans by which removing is the same as silencing; by halves, as most are."""
    if not plans or _removal_is_silence(tower, spec, plans):
        return plans
    if len(plans) == 1:
        return []
    half = len(plans) // 2
    return _sound(tower, spec, plans[:half]) + _sound(tower, spec, plans[half:])


def _removal_is_silence(tower: TimmImageTower, spec: TimmTower, plans: Sequence[Plan]) -> bool:
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

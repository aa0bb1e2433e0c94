"""A physically smaller model from the units of a model that stay."""

from collections.abc import Mapping
from typing import get_args

import torch
from torch import Tensor

from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.surgery.find import find_groups
from retrieval.models.surgery.transformer import OurTransformer
from retrieval.models.surgery.units import Granularity, Group, Kept
from retrieval.models.timm_tower import TimmImageTower
from retrieval.spec.base import Spec
from retrieval.spec.errors import SurgeryError
from retrieval.spec.model import ModelConfig, Transformer
from retrieval.spec.quantisation import without_grid
from retrieval.spec.tower import Tower

_REMOVABLE: tuple[Granularity, ...] = ("head", "neuron", "layer", "hidden")

SIDES: tuple[Tower, ...] = get_args(Tower)

State = dict[str, Tensor]


@torch.no_grad()
def shrink(model: DualEncoder, kept: Kept) -> DualEncoder:
    """A new model without the units that ``kept`` leaves out.

    Where heads, neurons or layers go, it computes what the model with those units silenced
    computes. Where the hidden width or channels behind norms go, it computes what a model of
    that width with the remaining weights computes: layer norms then average over fewer
    dimensions, so it needs training. Token ids, preprocessing and the embedding stay.

    Args:
        model: Not changed.
        kept: Groups that are not named stay whole. Heads, neurons, layers and width can go at
            once; what is said of the heads or neurons of a layer that goes is of no effect.

    Returns:
        On the model's device, in its training mode, described by a configuration of its own;
        nothing is shared with the model.

    Raises:
        SurgeryError: A group is unknown or left too small, or indices do not fit.
    """
    _check(_groups_by_name(model, kept), kept)
    specs: dict[str, Spec] = {}
    states: dict[str, State] = {}
    for side in SIDES:
        tower = getattr(model, side)
        of_side = {name: units for name, units in kept.items() if name.startswith(f"{side}.")}
        spec, state = getattr(model.config, side), tower.state_dict()
        if of_side and isinstance(tower, OurTransformer):
            blocks, state = _shrink_transformer(model, side, spec.blocks, of_side)
            spec = spec.model_copy(update={"blocks": blocks})
        elif of_side and isinstance(tower, TimmImageTower):
            from retrieval.models.surgery.channels import shrink_channels

            spec, state = shrink_channels(tower, spec, of_side)
        specs[side], states[side] = spec, state
    return rebuilt(model, model.config.model_copy(update=specs), states)


def adopt(model: DualEncoder, smaller: DualEncoder) -> None:
    """Put the towers and the configuration of ``smaller`` into ``model``, in place.

    Whoever holds the model goes on with the new towers; an optimiser, groups and gates of the
    old ones have to be made anew. ``smaller`` is not to be used beside it.
    """
    model.config = smaller.config
    model.image, model.text = smaller.image, smaller.text
    model.train(model.training)


def rebuilt(model: DualEncoder, config: ModelConfig, states: Mapping[str, State]) -> DualEncoder:
    """A model of another configuration with given weights, on the device of ``model``.

    Args:
        model: Lends device, type and training mode.
        config: Shape of the result. Of a tower whose shape is another, it promises no grid of
            quantised weights any more.
        states: Whole state of the image and the text tower, by their names within the tower.
    """
    reshaped = [side for side in SIDES if getattr(config, side) != getattr(model.config, side)]
    config = without_grid(config, reshaped)
    # Random weights are made only to be overwritten: training must not notice.
    with torch.random.fork_rng(devices=[]):
        new = DualEncoder(config)
    for side, state in states.items():
        getattr(new, side).load_state_dict(state)
    like = next(model.parameters())
    return new.to(device=like.device, dtype=like.dtype).train(model.training)


def _groups_by_name(model: DualEncoder, kept: Kept) -> dict[str, Group]:
    """Every group that can be removed from a side that ``kept`` names."""
    groups: list[Group] = []
    for side in SIDES:
        tower = getattr(model, side)
        if not any(name.startswith(f"{side}.") for name in kept):
            continue
        if isinstance(tower, OurTransformer):
            for granularity in _REMOVABLE:
                groups += find_groups(model, granularity, side)
        elif isinstance(tower, TimmImageTower):
            groups += find_groups(model, "channel", side)
    return {group.name: group for group in groups}


def _check(groups: Mapping[str, Group], kept: Kept) -> None:
    for name, units in kept.items():
        if name not in groups:
            known = ", ".join(list(groups)[:4]) or "none on this side"
            raise SurgeryError(f"{name} is no group of units that can be removed (known: {known})")
        group = groups[name]
        if units.ndim != 1 or units.dtype != torch.int64:
            raise SurgeryError(f"{name}: kept units must be an int64 vector, ascending")
        if len(units) < group.least:
            raise SurgeryError(
                f"{name}: {len(units)} of {group.units} units would stay, at least {group.least} "
                "must; lower the sparsity or exclude this group"
            )
        if units.min() < 0 or units.max() >= group.units:
            raise SurgeryError(f"{name}: kept units must lie in 0 to {group.units - 1}")
        if (units.diff() <= 0).any():
            raise SurgeryError(f"{name}: kept units must be ascending, each named once")
        if len(units) % group.multiple and len(units) != group.units:
            raise SurgeryError(
                f"{name}: {len(units)} units would stay, which is not a multiple of "
                f"{group.multiple}"
            )


def _shrink_transformer(
    model: DualEncoder, side: Tower, blocks: Transformer, kept: Kept
) -> tuple[Transformer, State]:
    """Configuration and state, by names within the tower, of a smaller transformer."""
    state = dict(getattr(model, side).state_dict())
    for granularity in ("head", "neuron", "hidden"):
        for group in find_groups(model, granularity, side):
            if group.name not in kept:
                continue
            for member in group.members:
                key = member.name.removeprefix(f"{side}.")
                staying = member.staying(kept[group.name]).to(state[key].device)
                state[key] = state[key].index_select(member.dim, staying)

    def count(name: str, present: int) -> int:
        return len(kept[name]) if name in kept else present

    def counts(kind: str, present: tuple[int, ...]) -> list[int]:
        return [count(f"{side}.blocks.{n}.{kind}", units) for n, units in enumerate(present)]

    layers = kept.get(f"{side}.layer", torch.arange(len(blocks.heads))).tolist()
    heads, neurons = counts("head", blocks.heads), counts("neuron", blocks.neurons)
    spec = blocks.model_dump() | {
        "width": count(f"{side}.hidden", blocks.width),
        "heads": [heads[layer] for layer in layers],
        "neurons": [neurons[layer] for layer in layers],
        "ranks": [blocks.ranks[layer] for layer in layers] if blocks.ranks else [],
    }
    return Transformer.model_validate(spec), _with_layers(state, layers)


def _with_layers(state: State, layers: list[int]) -> State:
    """Drop the blocks that are not listed and number the others anew."""
    new_number = {str(old): new for new, old in enumerate(layers)}
    result = {}
    for name, tensor in state.items():
        if not name.startswith("blocks."):
            result[name] = tensor
            continue
        _, number, rest = name.split(".", 2)
        if number in new_number:
            result[f"blocks.{new_number[number]}.{rest}"] = tensor
    return result

"""Tiny models with every part of our transformers awake, and what they compute."""

from typing import Any

import torch
from torch import Tensor

from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.surgery.find import find_groups
from retrieval.models.surgery.units import Group, Kept
from tests.tiny import SIZE, tiny_model, tiny_tokenizer

BLOCKS = {"width": 32, "head_dim": 8, "layers": 3, "heads": [2, 4, 3], "neurons": [32, 16, 24]}
RANKS = {"query": 8, "key": 16, "value": 8, "output": 8, "up": 8, "down": 8}
SENTENCES = ["a dog", "two red stars above a blue fish", "", "dog " * 30]


def awake_model(*, factors: bool = False, width: int = 32) -> DualEncoder:
    """Two transformers of three unequal layers; no parameter is zero or one throughout."""
    blocks: dict[str, Any] = {**BLOCKS, "width": width}
    if factors:
        blocks["ranks"] = RANKS
    text = {"blocks": blocks, "bag_of_tokens": True, "embedding_rank": 16 if factors else None}
    image = {"kind": "vit", "patch": 16, "blocks": blocks}
    model = tiny_model(image=image, text=text)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return model


def ids() -> Tensor:
    return torch.from_numpy(tiny_tokenizer().batch(SENTENCES))


def pixels() -> Tensor:
    return torch.randn(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def embedded(model: DualEncoder) -> tuple[Tensor, Tensor]:
    """What the towers give, before it is brought to length one."""
    return model.image(pixels()), model.text(ids())


def assert_same(one: DualEncoder, other: DualEncoder) -> None:
    for found, expected in zip(embedded(one), embedded(other), strict=True):
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)


def differ(one: DualEncoder, other: DualEncoder) -> bool:
    """Whether both towers compute something else."""
    pairs = zip(embedded(one), embedded(other), strict=True)
    return all((found - expected).abs().max() > 1e-3 for found, expected in pairs)


def all_groups(model: DualEncoder, *granularities: str) -> list[Group]:
    return [
        group
        for granularity in granularities
        for side in ("image", "text")
        for group in find_groups(model, granularity, side)
    ]


def silence(groups: list[Group], kept: Kept) -> None:
    for group in groups:
        if group.name in kept:
            keep = torch.zeros(group.units, dtype=torch.bool)
            keep[kept[group.name]] = True
            group.silence(keep)


HEADS_NEURONS_LAYERS: Kept = {
    f"{side}.{name}": torch.tensor(units)
    for side in ("image", "text")
    for name, units in {
        "blocks.0.head": [1],
        "blocks.0.neuron": [0, 1, 2, 5, 8, 13, 21, *range(22, 31)],
        "blocks.1.head": [0, 2],
        "blocks.2.head": [0, 2],
        "blocks.2.neuron": [1, 3, 5, 7, 9, 11, 13, 15],
        "layer": [0, 2],
    }.items()
}


def weights_per_unit(group: Group) -> float:
    """Parameters that go with one unit, on average over the units."""
    return group.reduce(lambda one: torch.ones_like(one.parameter)).mean().item()

"""Sizes of a model: prefixes of ordered units, on a line of tiers."""

import copy

import pytest
import torch
from pydantic import ValidationError

from retrieval.compress.elastic.nesting import keep_of, nested_groups, read_nesting
from retrieval.compress.elastic.order import reorder, spread_order
from retrieval.compress.elastic.settings import Elastic
from retrieval.compress.elastic.tiers import Tier, tier_at
from retrieval.compress.prune.select import indices
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.surgery.gates import gated
from retrieval.models.surgery.shrink import shrink
from retrieval.models.surgery.units import Group
from retrieval.spec.errors import CheckpointError
from tests.compress.prune.small_task import batch
from tests.tiny import tiny_model

BLOCKS = {"width": 32, "head_dim": 8, "layers": 3, "heads": 4, "neurons": 64}
VIT = {"kind": "vit", "patch": 16, "blocks": BLOCKS}
MOBILE = {"kind": "timm", "backbones": [{"name": "mobilenetv3_small_050"}]}
TIERS = (Tier(width=0.75), Tier(width=0.5, depth=0.5), Tier(width=0.25, depth=0.3))


def nested(model: DualEncoder) -> tuple[list[Group], dict[str, tuple[int, ...]]]:
    groups = nested_groups(model, ("head", "neuron", "channel"), ("image", "text"))
    return groups, {"image": spread_order(3), "text": spread_order(3)}


def embeddings(model: DualEncoder) -> torch.Tensor:
    pixels, ids, _ = batch(5, model)
    with torch.no_grad():
        return torch.cat([model.encode_image(pixels), model.encode_text(ids)])


def shaken(model: DualEncoder) -> DualEncoder:
    """Biases and statistics are not all alike, as after training."""
    random = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for one in (*model.parameters(), *model.buffers()):
            if one.ndim == 1 and one.is_floating_point():
                one.add_(torch.rand(one.shape, generator=random) * 0.3)
    return model


@pytest.mark.parametrize("image", [VIT, MOBILE], ids=["vit", "timm"])
def test_reordered_units_change_nothing_that_is_computed(image: dict[str, object]) -> None:
    model = shaken(tiny_model(image=image, text={"blocks": BLOCKS}))
    expected, before = embeddings(model), copy.deepcopy(model.state_dict())
    groups = [one for one in nested(model)[0] if one.granularity != "layer"]
    random = torch.Generator().manual_seed(1)
    scores = {one.name: torch.rand(one.units, generator=random) for one in groups}
    reorder(model, groups, scores)
    assert torch.allclose(embeddings(model), expected, atol=1e-5)
    moved = {name for name, one in model.state_dict().items() if not torch.equal(one, before[name])}
    assert {"text.blocks.0.attention.query.bias", "text.blocks.2.down.weight"} <= moved
    if image is MOBILE:
        assert "image.backbones.0.bn1.running_mean" in moved


def test_the_most_important_come_first() -> None:
    model = tiny_model(text={"blocks": BLOCKS})
    group = next(one for one in nested(model)[0] if one.name == "text.blocks.1.head")
    query = model.text.blocks[1].attention.query.weight
    before = query.detach().clone().view(4, 8, 32)
    reorder(model, [group], {group.name: torch.tensor([0.1, 0.9, 0.3, 0.9])})
    assert torch.equal(query.view(4, 8, 32), before[[1, 3, 2, 0]])


@pytest.mark.parametrize("image", [VIT, MOBILE], ids=["vit", "timm"])
@pytest.mark.parametrize("position", [0.4, 1.0])
def test_a_gated_forward_pass_equals_the_model_that_is_cut_out(
    image: dict[str, object], position: float
) -> None:
    model = shaken(tiny_model(image=image, text={"blocks": BLOCKS}))
    groups, layers = nested(model)
    keep = keep_of(groups, layers, tier_at(TIERS, position))
    small = shrink(model, indices(keep))
    with gated(groups, {name: mask.float() for name, mask in keep.items()}):
        expected = embeddings(model)
    assert torch.allclose(embeddings(small), expected, atol=1e-5)
    assert sum(one.numel() for one in small.parameters()) < sum(
        one.numel() for one in model.parameters()
    )


def test_smaller_sizes_lie_in_larger_ones() -> None:
    groups, layers = nested(tiny_model(image=VIT, text={"blocks": BLOCKS}))
    sizes = [keep_of(groups, layers, tier_at(TIERS, step / 16)) for step in range(33)]
    for larger, less in zip(sizes, sizes[1:], strict=False):
        assert all((larger[name] | ~less[name]).all() for name in less)
    assert all(mask.all() for mask in sizes[0].values())
    smallest = {name: int(mask.sum()) for name, mask in sizes[-1].items()}
    assert smallest["text.blocks.0.head"] == 1
    assert smallest["text.blocks.0.neuron"] == 8
    half = keep_of(groups, layers, Tier(width=0.5, depth=0.5))
    assert half["text.blocks.0.neuron"].sum() == 32
    assert half["text.blocks.0.neuron"][:32].all()
    assert half["text.layer"].tolist() == [True, False, True]


def test_the_line_through_the_tiers() -> None:
    assert tier_at(TIERS, 0) == Tier()
    assert tier_at(TIERS, 1 / 3) == TIERS[0]
    assert tier_at(TIERS, 1) == TIERS[2]
    middle = tier_at(TIERS, 0.5)
    assert (middle.width, middle.depth) == (pytest.approx(0.625), pytest.approx(0.75))
    beyond = tier_at(TIERS, 1.5)
    assert (beyond.width, beyond.depth) == (0.125, 0.3)


def test_layers_are_spread_over_the_depth() -> None:
    assert spread_order(1) == (0,)
    assert spread_order(2) == (0, 1)
    assert spread_order(5) == (0, 4, 2, 1, 3)
    assert sorted(spread_order(12)) == list(range(12))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"tiers": [0.5, 0.75]}, "from large to small"),
        ({"tiers": [0.5, {"width": 0.25, "depth": 0.5}, {"width": 0.2}]}, "from large to small"),
        ({"tiers": [0.5, 0.5]}, "from large to small"),
        ({"tiers": [0]}, "greater than 0"),
        ({"importance": "l0"}, "units are ordered before"),
    ],
)
def test_settings_that_cannot_work(entries: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Elastic.model_validate(entries)


def test_a_damaged_nesting_is_one_line() -> None:
    assert read_nesting({"dev": {}}) is None
    with pytest.raises(CheckpointError, match=r"elastic.nesting is damaged"):
        read_nesting({"elastic": {"nesting": {"tiers": [0.5, 0.9]}}})

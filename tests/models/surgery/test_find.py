import pytest
import torch

from retrieval.models.dual_encoder import parameter_count
from retrieval.models.surgery.find import find_groups
from retrieval.spec.errors import SurgeryError
from tests.models.surgery.towers import awake_model, weights_per_unit
from tests.tiny import DIM, tiny_model

MOBILENET = {"kind": "timm", "backbones": [{"name": "mobilenetv4_conv_small_035"}]}


def test_groups_are_named_by_place_and_count_their_units() -> None:
    model = awake_model()
    found = {
        granularity: {group.name: group.units for group in find_groups(model, granularity, "text")}
        for granularity in ("head", "neuron", "layer", "hidden")
    }
    assert found == {
        "head": {"text.blocks.0.head": 2, "text.blocks.1.head": 4, "text.blocks.2.head": 3},
        "neuron": {
            "text.blocks.0.neuron": 32,
            "text.blocks.1.neuron": 16,
            "text.blocks.2.neuron": 24,
        },
        "layer": {"text.layer": 3},
        "hidden": {"text.hidden": 32},
    }


def test_members_have_the_names_of_the_models_parameters() -> None:
    model = awake_model(factors=True)
    parameters = dict(model.named_parameters())
    for side in ("image", "text"):
        for granularity in ("head", "neuron", "layer", "hidden", "weight"):
            for group in find_groups(model, granularity, side):
                for member in group.members:
                    assert parameters[member.name] is member.parameter


def test_weights_that_go_with_a_unit_are_counted() -> None:
    model = awake_model()
    first = {
        granularity: weights_per_unit(find_groups(model, granularity, "text")[0])
        for granularity in ("head", "neuron")
    }
    # A head: 8 rows of 32 and 8 biases in each of query, key, value; 8 columns of 32.
    assert first["head"] == 3 * (8 * 32 + 8) + 8 * 32
    assert first["neuron"] == 32 + 1 + 32
    blocks = sum(parameter.numel() for parameter in model.text.blocks.parameters())
    (layer,) = find_groups(model, "layer", "text")
    assert weights_per_unit(layer) == pytest.approx(blocks / 3)


@pytest.mark.parametrize("factors", [False, True])
def test_the_hidden_width_takes_what_a_narrower_tower_does_not_have(factors: bool) -> None:
    wide, narrow = awake_model(factors=factors), awake_model(factors=factors, width=24)
    for side in ("image", "text"):
        (group,) = find_groups(wide, "hidden", side)
        fewer = parameter_count(getattr(wide, side)) - parameter_count(getattr(narrow, side))
        assert weights_per_unit(group) * 8 == fewer


def test_every_weight_of_attention_and_feed_forward_is_a_unit_and_silences_itself() -> None:
    model = awake_model()
    groups = find_groups(model, "weight", "text")
    assert len(groups) == 3 * 6
    assert groups[0].name == "text.blocks.0.attention.query.weight"
    assert not any("embedding" in group.name or "norm" in group.name for group in groups)
    weight = groups[0].members[0].parameter
    before = weight.detach().clone()
    keep = torch.rand(weight.numel()) > 0.5
    groups[0].silence(keep)
    torch.testing.assert_close(weight.detach(), before * keep.view_as(weight))


def test_timm_towers_have_weights_of_convolutions_and_linears_without_norms() -> None:
    model = tiny_model(image=MOBILENET, size=32)
    groups = find_groups(model, "weight", "image")
    parameters = dict(model.named_parameters())
    expected = {
        name
        for name, parameter in parameters.items()
        if name.startswith("image.backbones.") and parameter.ndim > 1
    }
    assert {group.name for group in groups} == expected
    depthwise = [g for g in groups if parameters[g.name].shape[1:] == (1, 3, 3)]
    assert depthwise and all(g.units == parameters[g.name].numel() for g in groups)
    assert parameters["image.projection.weight"].shape[0] == DIM


@pytest.mark.parametrize(
    ("granularity", "side", "choices"),
    [("channel", "text", "head, neuron"), ("head", "image", "channel or weight")],
)
def test_units_that_a_tower_has_not_are_one_line(granularity: str, side: str, choices: str) -> None:
    model = tiny_model(image=MOBILENET)
    with pytest.raises(SurgeryError, match=f"{side} tower .*no units of granularity") as caught:
        find_groups(model, granularity, side)
    assert choices in str(caught.value)
    assert "\n" not in str(caught.value)

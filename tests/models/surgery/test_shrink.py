from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from export.targets.graphs import image_graph, text_graph
from export.targets.onnx import serialise, trace
from export.verify.parity import run_batch
from retrieval.models.checkpoint import load_checkpoint, save_checkpoint
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.normalise import PixelNormaliser
from retrieval.models.surgery.shrink import adopt, shrink
from retrieval.spec.errors import SurgeryError
from retrieval.spec.model import ModelConfig
from retrieval.spec.quantisation import Grid, Quantisation
from tests.models.surgery.towers import (
    HEADS_NEURONS_LAYERS,
    all_groups,
    assert_same,
    awake_model,
    differ,
    embedded,
    ids,
    silence,
)
from tests.tiny import tiny_tokenizer

CHANGES = {
    "heads": {f"{side}.blocks.1.head": torch.tensor([1, 3]) for side in ("image", "text")},
    "neurons": {
        f"{side}.blocks.0.neuron": torch.arange(1, 17) for side in ("image", "text")
    },
    "layers": {f"{side}.layer": torch.tensor([0, 2]) for side in ("image", "text")},
    "all": HEADS_NEURONS_LAYERS,
}  # fmt: skip
WIDTH = torch.tensor([0, 3, 4, 5, 9, 11, 12, 13, 17, 18, 19, 20, 25, 27, 30, 31])


@pytest.mark.parametrize("factors", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_a_shrunk_model_computes_what_the_silenced_one_does(change: str, factors: bool) -> None:
    model, silenced = awake_model(factors=factors), awake_model(factors=factors)
    smaller = shrink(model, CHANGES[change])
    silence(all_groups(silenced, "head", "neuron", "layer"), CHANGES[change])
    assert_same(smaller, silenced)
    assert differ(smaller, model)


def test_the_configuration_says_what_is_left() -> None:
    model = awake_model(factors=True)
    kept = {**HEADS_NEURONS_LAYERS, "text.hidden": WIDTH}
    smaller = shrink(model, kept)
    blocks = smaller.config.text.blocks
    assert (blocks.width, blocks.heads, blocks.neurons) == (16, (1, 2), (16, 8))
    assert smaller.config.image.blocks.width == 32
    assert len(blocks.ranks) == 2
    assert model.config.text.blocks.heads == (2, 4, 3)
    again = DualEncoder(ModelConfig.model_validate_json(smaller.config.model_dump_json()))
    again.load_state_dict(smaller.state_dict())


def _narrow(weight: Tensor, *dims: int) -> Tensor:
    for dim in dims:
        weight = weight.index_select(dim, WIDTH)
    return weight


@pytest.mark.parametrize("factors", [False, True])
def test_a_narrower_model_has_the_indexed_weights(factors: bool) -> None:
    model = awake_model(factors=factors)
    smaller = shrink(model, {"text.hidden": WIDTH, "image.hidden": WIDTH})
    first = ("query", "key", "value", "up")
    for name, weight in model.state_dict().items():
        end = name.rsplit(".", 2)
        outwards = any(part in first for part in name.split("."))
        if "table" in name or end[-2:] == ["bag_projection", "bias"]:
            dims = ()
        elif "position_embedding" in name or "class_token" in name:
            dims = (weight.ndim - 1,)
        elif "norm" in name:
            dims = (0,)
        elif "projection" in name:
            dims = (1,)
        elif "patch" in name or name.endswith("token_embedding.expand.weight"):
            dims = (0,)
        elif "token_embedding" in name:
            dims = (1,)
        elif outwards:
            dims = (1,) if end[-1] == "weight" and end[-2] != "expand" else ()
        else:
            dims = () if end[-2] == "reduce" else (0,)
        found = smaller.state_dict()[name]
        torch.testing.assert_close(found, _narrow(weight, *dims), rtol=0, atol=0, msg=name)


def test_everything_at_once_equals_one_after_the_other() -> None:
    model = awake_model()
    widths = {"text.hidden": WIDTH, "image.hidden": WIDTH}
    at_once = shrink(model, {**HEADS_NEURONS_LAYERS, **widths})
    assert_same(at_once, shrink(shrink(model, widths), HEADS_NEURONS_LAYERS))


def test_what_is_not_named_stays_and_nothing_is_shared() -> None:
    model = awake_model()
    before = embedded(model)
    torch.manual_seed(5)
    smaller = shrink(model, {"text.blocks.0.head": torch.tensor([0])})
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert drawn == torch.rand(1), "shrinking must not disturb the random numbers of training"
    torch.testing.assert_close(embedded(smaller)[0], before[0])
    with torch.no_grad():
        for parameter in smaller.parameters():
            parameter.zero_()
    for now, then in zip(embedded(model), before, strict=True):
        torch.testing.assert_close(now, then)


def test_a_tower_of_another_shape_promises_no_grid_of_quantised_weights() -> None:
    model = awake_model()
    grids = {name: Grid(kind="int8") for name in ("text.blocks.0.up.weight", "image.x.weight")}
    model.config = model.config.model_copy(update={"quantisation": Quantisation(grids=grids)})
    smaller = shrink(model, {"text.layer": torch.tensor([0])})
    assert set(smaller.config.quantisation.grids) == {"image.x.weight"}


def test_adopting_changes_the_model_in_place() -> None:
    model = awake_model().train()
    smaller = shrink(model, HEADS_NEURONS_LAYERS)
    assert smaller.training
    expected = embedded(smaller)
    adopt(model, smaller)
    assert model.config == smaller.config
    for found, wanted in zip(embedded(model), expected, strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(
    ("name", "units", "message"),
    [
        ("text.blocks.0.head", [], "0 of 2 units would stay, at least 1"),
        ("text.layer", [], "0 of 3 units would stay"),
        ("text.blocks.0.neuron", [0, 1, 2, 3], "4 of 32 units would stay, at least 8"),
        ("text.blocks.0.neuron", list(range(12)), "12 units.*not a multiple of 8"),
        ("text.hidden", list(range(20)), "20 units.*not a multiple of 8"),
        ("text.blocks.0.head", [0, 2], "must lie in 0 to 1"),
        ("text.blocks.0.head", [-1, 0], "must lie in 0 to 1"),
        ("text.blocks.0.head", [1, 0], "ascending, each named once"),
        ("text.blocks.0.head", [1, 1], "ascending, each named once"),
        ("text.blocks.3.head", [0], "text.blocks.3.head is no group"),
        ("text.blocks.0.up.weight", [0], "is no group of units that can be removed"),
        ("neither", [0], "neither is no group"),
    ],
)
def test_what_cannot_go_is_one_line(name: str, units: list[int], message: str) -> None:
    with pytest.raises(SurgeryError, match=message) as caught:
        shrink(awake_model(), {name: torch.tensor(units, dtype=torch.int64)})
    assert "\n" not in str(caught.value)


def test_a_mask_instead_of_indices_is_refused() -> None:
    with pytest.raises(SurgeryError, match="int64 vector"):
        shrink(awake_model(), {"text.blocks.0.head": torch.tensor([True, False])})


def test_a_shrunk_model_is_an_ordinary_checkpoint_and_exports(tmp_path: Path) -> None:
    kept = {**HEADS_NEURONS_LAYERS, "text.hidden": WIDTH, "image.hidden": WIDTH}
    smaller = shrink(awake_model(factors=True), kept)
    save_checkpoint(tmp_path / "smaller", smaller, tiny_tokenizer())
    model = load_checkpoint(tmp_path / "smaller").model
    assert_same(model, smaller)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)
    normalised = PixelNormaliser(model.config.preprocessing)(torch.from_numpy(pixels))
    with torch.no_grad():
        cases = (
            (text_graph(model), ids().numpy(), model.encode_text(ids())),
            (image_graph(model), pixels, model.encode_image(normalised)),
        )
    for graph, inputs, expected in cases:
        found = run_batch(serialise(trace(graph, inputs)), inputs)
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)

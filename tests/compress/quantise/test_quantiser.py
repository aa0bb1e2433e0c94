from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch.nn.utils import parametrize

from retrieval.compress.loop.optimiser import make_optimiser
from retrieval.compress.loop.settings import Training
from retrieval.compress.quantise.grids import dynamic_uint8, on_grid
from retrieval.compress.quantise.quantiser import Quantiser
from retrieval.compress.quantise.settings import Quantise
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.strided import without_stride
from retrieval.spec.errors import RecipeError
from retrieval.spec.quantisation import Grid, without_grid
from tests.tiny import CONTEXT, DIM, SIZE, tiny_model

PIXELS = torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
IDS = torch.randint(1, 400, (4, CONTEXT), generator=torch.Generator().manual_seed(0))
INT4 = {"linear": "int4", "convolution": "int4", "embedding": "int4"}


class Task(torch.nn.Module):
    def __init__(self, model: DualEncoder) -> None:
        super().__init__()
        self.model = model


def begun(model: DualEncoder, total: int = 10, **settings: Any) -> tuple[Quantiser, Task]:
    quantiser, task = Quantiser(Quantise.model_validate(settings)), Task(model)
    quantiser.start(task, total)
    return quantiser, task


def quantised(model: DualEncoder, **settings: Any) -> DualEncoder:
    quantiser, task = begun(model, **settings)
    quantiser.finish(task)
    return model


def test_forward_sees_rounded_weights_and_the_optimiser_whole_ones() -> None:
    model = tiny_model()
    before = model.text.blocks[0].up.weight.detach().clone()
    _, task = begun(model, weights=INT4)
    up = model.text.blocks[0].up
    assert torch.equal(up.weight, on_grid(before, Grid(kind="int4")))
    ids = torch.arange(6).view(2, 3)
    rows = model.text.token_embedding.weight[:6]
    looked_up = model.text.token_embedding(ids).flatten(0, 1)
    assert torch.equal(looked_up, on_grid(rows, Grid(kind="int4")))
    names = dict(task.named_parameters())
    assert torch.equal(names["model.text.blocks.0.up.parametrizations.weight.original"], before)
    assert not parametrize.is_parametrized(model.text.projection)
    assert not parametrize.is_parametrized(model.image.projection)


def test_recipes_name_and_decay_weights_as_ever() -> None:
    _, task = begun(tiny_model())
    settings = Training(
        weight_decay=0.1, multipliers={"text.blocks.0.up.weight": 0.5, "text.token": 0.1}
    )
    groups = {
        id(parameter): (group["factor"], group["weight_decay"])
        for group in make_optimiser(task, settings).param_groups
        for parameter in group["params"]
    }
    text = task.model.text
    assert groups[id(text.token_embedding.weight)] == (0.1, 0.1)
    assert groups[id(text.blocks[0].up.parametrizations.weight.original)] == (0.5, 0.1)
    assert groups[id(text.blocks[0].down.parametrizations.weight.original)] == (1, 0.1)


def test_finish_leaves_plain_weights_that_compute_the_same() -> None:
    model = tiny_model()
    quantiser, task = begun(model, weights=INT4, group=32)
    with torch.inference_mode(), quantiser.evaluating():
        expected = model.encode_image(PIXELS), model.encode_text(IDS)
    figures = quantiser.finish(task)
    assert not any(parametrize.is_parametrized(module) for module in model.modules())
    assert type(model.text.blocks[0].up) is torch.nn.Linear
    assert set(model.state_dict()) == set(tiny_model().state_dict())
    assert torch.equal(model.encode_image(PIXELS), expected[0])
    assert torch.equal(model.encode_text(IDS), expected[1])
    grids = model.config.quantisation.grids
    for name, grid in grids.items():
        weight = model.get_parameter(name)
        assert torch.equal(on_grid(weight, grid), weight)
    assert grids["text.token_embedding.weight"] == Grid(kind="int4", group=32)
    assert grids["image.patch_embedding.weight"] == Grid(kind="int4")
    counted = sum(model.get_parameter(name).numel() for name in grids)
    assert figures == {"weights": {"int4": counted}, "tensors": len(grids), "dynamic": 0}


def test_ternary_is_by_row_for_tokens_and_by_matrix_elsewhere() -> None:
    model = quantised(tiny_model(), weights={"linear": "ternary", "embedding": "ternary"})
    assert len(model.text.blocks[0].up.weight.unique()) == 3
    table = model.text.token_embedding.weight
    assert all(len(row.unique()) <= 3 for row in table)
    assert len(table.abs().unique()) > 100


def test_a_few_steps_reduce_a_loss_under_int4() -> None:
    torch.manual_seed(0)
    model = tiny_model()
    quantiser, task = begun(model, weights=INT4)
    optimiser = make_optimiser(task, Training(learning_rate=3e-3))
    target = torch.nn.functional.normalize(torch.randn(4, DIM), dim=-1)
    losses = []
    for step in range(15):
        quantiser.before_forward(step)
        loss = (model.encode_image(PIXELS) - target).square().sum(dim=1).mean()
        losses.append(loss.item())
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    assert losses[-1] < losses[0] / 2
    quantiser.finish(task)
    last = (model.encode_image(PIXELS) - target).square().sum(dim=1).mean().item()
    assert last < losses[0] / 2


def test_rounding_starts_late_but_evaluation_always_has_it() -> None:
    model = tiny_model()
    whole = model.encode_image(PIXELS).detach()
    quantiser, _ = begun(model, total=10, weights=INT4, start=0.5)
    quantiser.before_forward(4)
    assert torch.equal(model.encode_image(PIXELS), whole)
    with quantiser.evaluating():
        rounded = model.encode_image(PIXELS).detach()
    assert not torch.equal(rounded, whole)
    assert torch.equal(model.encode_image(PIXELS), whole)
    quantiser.before_forward(5)
    assert torch.equal(model.encode_image(PIXELS), rounded)


def test_a_run_that_goes_on_has_the_same_weights() -> None:
    first = tiny_model()
    _, task = begun(first, weights=INT4)
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.add_(0.01)
    again = tiny_model(seed=1)
    _, resumed = begun(again, weights=INT4)
    resumed.load_state_dict(task.state_dict())
    assert torch.equal(again.encode_text(IDS), first.encode_text(IDS))
    assert torch.equal(
        again.text.blocks[0].up.parametrizations.weight.original,
        first.text.blocks[0].up.parametrizations.weight.original,
    )


def test_inputs_are_rounded_only_where_asked_and_only_in_training() -> None:
    model = tiny_model()
    quantiser, task = begun(model, activations="int8")
    up, seen = model.text.blocks[0].up, []
    up.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    model.encode_text(IDS)
    steps = [len(row.unique()) for row in seen[0]]
    assert max(steps) <= 256
    assert torch.allclose(dynamic_uint8(seen[0]), seen[0], atol=1e-6)
    quantiser.finish(task)
    model.encode_text(IDS)
    assert max(len(row.unique()) for row in seen[1]) > 256
    dynamic = model.config.quantisation.dynamic
    assert "text.blocks.0.attention.query.weight" in dynamic
    assert "text.token_embedding.weight" not in dynamic
    assert "image.patch_embedding.weight" not in dynamic


def test_a_frozen_tower_keeps_the_grid_it_has() -> None:
    model = quantised(tiny_model(), weights=INT4, activations="int8")
    model.text.requires_grad_(False)
    text = {name: t.clone() for name, t in model.text.state_dict().items()}
    model.image.requires_grad_(True)
    model = quantised(model)
    grids = model.config.quantisation.grids
    assert grids["text.blocks.0.up.weight"].kind == "int4"
    assert grids["image.blocks.0.up.weight"].kind == "int8"
    assert all(name.startswith("text.") for name in model.config.quantisation.dynamic)
    assert all(torch.equal(t, text[name]) for name, t in model.text.state_dict().items())


def test_other_training_drops_the_grid_of_what_it_moved() -> None:
    config = quantised(tiny_model()).config
    assert without_grid(config).quantisation is None
    only_text = without_grid(config, ["image"]).quantisation
    assert {name.partition(".")[0] for name in only_text.grids} == {"text"}
    plain = tiny_model().config
    assert without_grid(plain) == plain


def test_what_timm_merges_for_inference_stays_in_floating_point() -> None:
    image = {"kind": "timm", "backbones": [{"name": "mobileone_s0"}]}
    model = tiny_model(image=image)
    model.text.requires_grad_(False)
    with pytest.raises(RecipeError, match="no weight of the towers in training"):
        Quantiser(Quantise()).start(SimpleNamespace(model=model), 1)


@pytest.mark.parametrize("pad_type", ["", "same"])
def test_convolutions_of_classes_of_our_own_are_rounded(pad_type: str) -> None:
    backbone = {"name": "mobilenetv4_conv_small_050", "options": {"pad_type": pad_type}}
    model = tiny_model(image={"kind": "timm", "backbones": [backbone]})
    without_stride(model.image)
    convolutions = {
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Conv2d)
    }
    model = quantised(model)
    assert convolutions <= set(model.config.quantisation.grids)


def test_convolutions_that_standardise_their_weights_are_left() -> None:
    model = tiny_model(image={"kind": "timm", "backbones": [{"name": "nf_resnet26"}]})
    assert not any("conv" in name for name in quantised(model).config.quantisation.grids)


def test_a_prefix_that_skips_nothing_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"quantise.skip: .*'text.blocks.7'"):
        begun(tiny_model(), skip=["text.blocks.7"])
    model = quantised(tiny_model(), skip=["text", "image.blocks"])
    assert set(model.config.quantisation.grids) == {
        "image.patch_embedding.weight",
        "image.projection.weight",
    }


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"weights": {"linear": None, "convolution": None, "embedding": None}}, "all null"),
        ({"group": 32}, "group needs"),
        ({"weights": INT4, "group": 32, "activations": "int8"}, "have no groups"),
        ({"weights": {"linear": None}, "activations": "int8"}, "need linear weights"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Quantise.model_validate(settings)

"""Elastic training: smaller sizes learn to give the embeddings of the whole."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from retrieval.compress.elastic.modifier import ElasticModifier
from retrieval.compress.elastic.nesting import keep_of, nested_groups, read_nesting
from retrieval.compress.elastic.settings import Elastic
from retrieval.compress.elastic.tiers import Tier
from retrieval.compress.prune.select import indices
from retrieval.compress.runner import run_recipe
from retrieval.models.checkpoint import load_checkpoint
from retrieval.models.surgery.shrink import shrink
from retrieval.spec.errors import RecipeError
from tests.compress.killing import KillAfter, Killed
from tests.compress.prune.small_task import SmallLoop, SmallTask, batch
from tests.compress.small_runs import recipe, student, write_data
from tests.tiny import tiny_model

MOBILE = {"kind": "timm", "backbones": [{"name": "mobilenetv3_small_050"}]}
BLOCKS = {"width": 32, "head_dim": 16, "layers": 2, "heads": 2, "neurons": 64}


def test_losses_are_distances_of_cut_models_to_the_whole() -> None:
    tiers = [{"width": 0.5, "depth": 0.5}]
    settings = Elastic.model_validate({"tiers": tiers, "drawn": 0, "weight": 3, "layers": "spread"})
    task = SmallTask(tiny_model())
    modifier = ElasticModifier(settings)
    modifier.start(task, 8)
    groups = nested_groups(task.model, ("head", "neuron"), ("image", "text"))
    keep = keep_of(groups, {"image": (0, 1), "text": (0, 1)}, Tier(width=0.5, depth=0.5))
    small = shrink(task.model, indices(keep))
    pixels, ids, wanted = batch(0, task.model)
    task.train()
    task((pixels, ids, wanted))
    losses = modifier.losses(0)
    for side, given in (("image", pixels), ("text", ids)):
        far = F.normalize(getattr(small, side)(given), dim=-1)
        near = F.normalize(getattr(task.model, side)(given), dim=-1)
        expected = 3 * (far - near).square().sum(dim=1).mean()
        assert losses[f"elastic_{side}"].item() == pytest.approx(expected.item(), rel=1e-4)
    losses["elastic_text"].backward()
    # What only the whole has learns nothing from smaller sizes.
    assert task.model.text.blocks[1].up.weight.grad.abs().max() == 0
    assert task.model.text.blocks[0].up.weight.grad[:32].abs().max() > 0
    assert task.model.text.blocks[0].up.weight.grad[32:].abs().max() == 0


def test_smaller_sizes_come_closer() -> None:
    settings = Elastic.model_validate({"tiers": [0.5], "drawn": 0})
    task = SmallTask(tiny_model(), ("text",))
    task.steps_per_epoch = 1
    loop = SmallLoop(task, ElasticModifier(settings), 40)
    seen = []
    first = loop.modifier.losses

    def noted(step: int) -> dict[str, torch.Tensor]:
        losses = first(step)
        seen.append(losses["elastic_text"].item())
        return losses

    loop.modifier.losses = noted  # type: ignore[method-assign]
    loop.run()
    assert seen[-1] < 0.3 * seen[0]
    figures = loop.modifier.finish(task)
    assert [tier["width"] for tier in figures["tiers"]] == [1.0, 0.5]
    whole, half = (tier["parameters"]["text"] for tier in figures["tiers"])
    assert half < whole
    assert not task.model.text._forward_hooks


def test_smaller_sizes_leave_statistics_of_batch_norms_alone() -> None:
    task = SmallTask(tiny_model(image=MOBILE), ("image",))
    task.settings = task.settings.model_copy(update={"freeze_norm": False})
    modifier = ElasticModifier(Elastic.model_validate({"tiers": [0.5]}))
    modifier.start(task, 4)
    task.train()
    task(batch(0, task.model))
    norm = task.model.image.backbones[0].bn1
    before = norm.running_mean.clone()
    assert modifier.losses(0)["elastic_image"] > 0
    assert torch.equal(norm.running_mean, before)
    assert norm.training


def test_sizes_depend_on_the_step_alone() -> None:
    modifier = ElasticModifier(Elastic.model_validate({"drawn": 3}))
    again = ElasticModifier(modifier.settings)
    assert modifier._drawn(7, "text") == again._drawn(7, "text")
    assert modifier._drawn(7, "text") != modifier._drawn(8, "text")
    assert modifier._drawn(7, "text")[0] == Tier(width=0.25)
    assert len(modifier._drawn(7, "image")) == 4


def test_a_tower_that_is_not_trained_is_refused() -> None:
    modifier = ElasticModifier(Elastic(towers=("image",)))
    with pytest.raises(RecipeError, match="elastic.towers names image"):
        modifier.start(SmallTask(tiny_model(), ("text",)), 4)


STAGE: dict[str, Any] = {
    "stage": "finetune",
    "towers": ["image", "text"],
    "losses": {"pairs": 1},
    "elastic": {
        "tiers": [0.75, {"width": 0.5, "depth": 0.5}],
        "importance": "taylor",
        "calibration": 2,
        "layers": "importance",
    },
    "training": {"dropout": 0.1, "save_every_seconds": 1e-9, "average": 0.5},
}


def test_a_recipe_trains_tiers_and_resumes_after_a_kill(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    shape = {
        **student(),
        "image": {"kind": "vit", "patch": 8, "blocks": BLOCKS},
        "text": {"blocks": BLOCKS},
    }
    made = recipe(data, [STAGE], student=shape)
    whole = run_recipe(made, tmp_path / "whole")
    for step in (2, 5):
        with pytest.raises(Killed):
            run_recipe(made, tmp_path / "killed", reporter=KillAfter(step))
    resumed = run_recipe(made, tmp_path / "killed")
    expected = load_file(whole / "model.safetensors")
    found = load_file(resumed / "model.safetensors")
    assert all(torch.equal(found[name], one) for name, one in expected.items())
    metrics = json.loads((resumed / "metrics.json").read_text())
    assert metrics["elastic"] == json.loads((whole / "metrics.json").read_text())["elastic"]

    checkpoint = load_checkpoint(resumed)
    nesting = read_nesting(checkpoint.metrics)
    assert nesting is not None
    assert sorted(nesting.layers["text"]) == [0, 1]
    tiers = metrics["elastic"]["tiers"]
    assert [tier["width"] for tier in tiers] == [1.0, 0.75, 0.5]
    assert all(0 <= tier["dev"]["text_to_image"]["recall@10"] <= 1 for tier in tiers)
    assert tiers[0]["dev"] == metrics["dev"]
    sizes = [sum(tier["parameters"].values()) for tier in tiers]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == sum(metrics["parameters"].values())

"""What is kept of a source that is wider than its student."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from retrieval.compress.recipe import Data
from retrieval.compress.start.inherit import inherit_image, inherit_text
from retrieval.compress.start.narrow import highest
from retrieval.compress.start.scores import (
    Samples,
    magnitude_scores,
    self_distillation,
    taylor_scores,
)
from retrieval.models.checkpoint import Checkpoint
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.surgery.find import find_groups
from retrieval.models.surgery.units import Group
from tests.compress.starts import (
    SMALL,
    WHOLE,
    ids,
    inherited,
    student,
)
from tests.tiny import tiny_tokenizer


def test_magnitude_keeps_the_largest_neurons(source: Checkpoint, samples: Samples) -> None:
    blocks = {**WHOLE, "neurons": [16, 48, 64]}
    made = student(blocks)
    inherit_text(made, tiny_tokenizer(), source, inherited(criterion="magnitude"), samples)
    given = source.model.text.blocks[0]
    norms = (
        given.up.weight.square().sum(dim=1)
        + given.up.bias.square()
        + given.down.weight.square().sum(dim=0)
    )
    kept = norms.topk(16).indices.sort().values
    assert torch.equal(made.text.blocks[0].up.weight, given.up.weight[kept])
    assert torch.equal(made.text.blocks[0].down.weight, given.down.weight[:, kept])
    assert torch.equal(made.text.blocks[1].up.weight, source.model.text.blocks[1].up.weight)


def test_of_equal_scores_the_first_units_stay() -> None:
    scores = torch.tensor([1.0, 3.0, 1.0, 2.0, 1.0])
    assert highest(scores, 4).tolist() == [0, 1, 2, 3]


def own_loss(model: DualEncoder) -> torch.Tensor:
    out = model.encode_text(ids())
    return F.cross_entropy(out @ out.detach().T / 0.07, torch.arange(len(out)))


def test_taylor_scores_are_the_gradients_of_the_source_against_itself(source: Checkpoint) -> None:
    model = source.model
    groups = find_groups(model, "hidden", "text") + find_groups(model, "neuron", "text")[:1]
    scores = taylor_scores(model, groups, (model.encode_text(ids()) for _ in range(2)))
    seen: list[torch.Tensor] = []
    up = model.text.blocks[0].up

    def keep(_module: torch.nn.Module, _inputs: object, output: torch.Tensor) -> None:
        output.retain_grad()
        seen.append(output)

    parts = (up, model.text.blocks[0].activation)
    hooks = [module.register_forward_hook(keep) for module in parts]
    own_loss(model).backward()
    for hook in hooks:
        hook.remove()
    before, after = seen
    per_sample = (
        (before - up.bias) * before.grad + after * after.grad
    ).sum(dim=1)  # fmt: skip
    expected = per_sample.abs().sum(dim=0).detach()
    torch.testing.assert_close(scores["text.blocks.0.neuron"], expected, rtol=1e-4, atol=1e-6)
    hidden = sum(
        (one.parameter * one.parameter.grad).movedim(one.dim, 0).reshape(32, -1).sum(dim=1)
        for one in groups[0].members
    ).abs()
    torch.testing.assert_close(scores["text.hidden"], hidden.detach(), rtol=1e-3, atol=1e-6)
    model.zero_grad()


def test_scoring_leaves_no_trace(source: Checkpoint) -> None:
    groups = find_groups(source.model, "head", "text")
    before = {name: tensor.clone() for name, tensor in source.model.state_dict().items()}
    taylor_scores(source.model, groups, (source.model.encode_text(ids()) for _ in range(1)))
    assert all(parameter.grad is None for parameter in source.model.parameters())
    assert all(torch.equal(tensor, before[n]) for n, tensor in source.model.state_dict().items())
    assert not source.model.text.blocks[0].attention.output._forward_pre_hooks


def test_self_distillation_pulls_apart_what_is_close() -> None:
    vectors = F.normalize(torch.tensor([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.0]]), dim=1)
    vectors.requires_grad_(True)
    self_distillation(vectors).backward()
    assert vectors.grad is not None
    assert vectors.grad[0, 1] < 0 < vectors.grad[1, 1]


@pytest.mark.parametrize("side", ["text", "image"])
def test_taylor_chooses_by_the_recipes_own_samples(
    source: Checkpoint, samples: Samples, tmp_path: Path, side: str
) -> None:
    if side == "image":
        for number in range(10):
            Image.effect_noise((40, 40), 20 + number).save(tmp_path / f"{number}.png")
        (tmp_path / "damaged.png").write_bytes(b"no photo")
        samples = Samples(Data(photos=(tmp_path,)), seed=3)
    made = student({**WHOLE, "heads": [2, 3, 4]})
    settings = inherited(samples=8)
    if side == "text":
        inherit_text(made, tiny_tokenizer(), source, settings, samples)
    else:
        inherit_image(made, source, settings, samples)
    groups = [find_groups(source.model, "head", side)[0]]
    scores = taylor_scores(source.model, groups, samples.embedded(source, side, 8))
    kept = scores[groups[0].name].topk(2).indices.sort().values
    inner = (kept[:, None] * 8 + torch.arange(8)).flatten()
    given = getattr(source.model, side).blocks[0].attention.query
    assert torch.equal(getattr(made, side).blocks[0].attention.query.weight, given.weight[inner])


def test_the_seed_decides_a_random_choice(source: Checkpoint) -> None:
    def made(seed: int) -> torch.Tensor:
        model = student(SMALL)
        samples = Samples(Data(), seed)
        inherit_text(model, tiny_tokenizer(), source, inherited(width="random"), samples)
        return model.text.blocks[0].up.weight.detach()

    assert torch.equal(made(1), made(1))
    assert not torch.equal(made(1), made(2))


def test_magnitude_needs_no_samples(source: Checkpoint) -> None:
    groups: list[Group] = find_groups(source.model, "head", "text")
    assert set(magnitude_scores(source.model, groups)) == {g.name for g in groups}
    settings = inherited(criterion="magnitude")
    inherit_text(student(SMALL), tiny_tokenizer(), source, settings, Samples(Data(), 0))

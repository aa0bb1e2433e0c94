"""Towers inherited from a source, against plain indexing of its weights."""

from pathlib import Path
from typing import Any

import pytest
import torch

from retrieval.compress.recipe import Data
from retrieval.compress.start.factors import copy_linear
from retrieval.compress.start.inherit import inherit_image, inherit_text
from retrieval.compress.start.narrow import picked_layers
from retrieval.compress.start.scores import Samples
from retrieval.compress.start.tokens import translated_rows
from retrieval.language.cutting import cut_vocabulary
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.checkpoint import Checkpoint
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.low_rank import LowRankLinear, whole_weight
from retrieval.spec.errors import RecipeError
from tests.compress.starts import (
    SENTENCES,
    SMALL,
    WHOLE,
    Blocks,
    ids,
    inherited,
    student,
)
from tests.tiny import SIZE, tiny_checkpoint, tiny_model, tiny_tokenizer


@pytest.mark.parametrize("width", ["importance", "leading", "random"])
def test_who_inherits_everything_embeds_as_the_source(
    source: Checkpoint, samples: Samples, width: str
) -> None:
    made = student(WHOLE)
    inherit_text(made, tiny_tokenizer(), source, inherited(width=width), samples)
    inherit_image(made, source, inherited(width=width), samples)
    pixels = torch.rand(3, 3, SIZE, SIZE)
    with torch.no_grad():
        assert torch.equal(made.encode_text(ids()), source.model.encode_text(ids()))
        assert torch.equal(made.encode_image(pixels), source.model.encode_image(pixels))


@pytest.mark.parametrize(
    ("pick", "student", "source", "expected"),
    [
        ("uniform", 4, 12, [3, 6, 9, 12]),
        ("uniform", 5, 12, [2, 5, 7, 10, 12]),
        ("uniform", 2, 3, [2, 3]),
        ("uniform", 1, 2, [2]),
        ("first", 2, 5, [1, 2]),
        ("last", 2, 5, [4, 5]),
        ((1, 3, 5), 3, 5, [1, 3, 5]),
        ("last", 5, 5, [1, 2, 3, 4, 5]),
    ],
)
def test_layers_are_picked_as_the_recipe_says(
    pick: str | tuple[int, ...], student: int, source: int, expected: list[int]
) -> None:
    assert picked_layers(pick, student, source) == expected


@pytest.mark.parametrize("student_layers", range(1, 13))
def test_uniform_layers_are_all_different(student_layers: int) -> None:
    for depth in range(student_layers, 30):
        found = picked_layers("uniform", student_layers, depth)
        assert found == sorted(set(found))
        assert found[-1] == depth


def test_whole_blocks_are_copied(source: Checkpoint, samples: Samples) -> None:
    made = student({**WHOLE, "heads": [3, 4], "neurons": [48, 64]})
    inherit_text(made, tiny_tokenizer(), source, inherited(pick=[2, 3]), samples)
    for block, given in zip(made.text.blocks, list(source.model.text.blocks)[1:], strict=True):
        for name, tensor in given.state_dict().items():
            assert torch.equal(block.state_dict()[name], tensor)


def cut_by_hand(
    model: DualEncoder, side: str, layers: list[int], hidden: torch.Tensor, units: Any
) -> dict[str, torch.Tensor]:
    """A tower's state by plain indexing; ``units`` gives heads and neurons of a layer."""
    tower = getattr(model, side)
    result = {}
    for new, old in enumerate(layers):
        heads, neurons = units(old)
        inner = (heads[:, None] * 8 + torch.arange(8)).flatten()
        state = tower.blocks[old].state_dict()
        for part in ("query", "key", "value"):
            result[f"blocks.{new}.attention.{part}.weight"] = (
                state[f"attention.{part}.weight"][inner][:, hidden]
            )  # fmt: skip
            result[f"blocks.{new}.attention.{part}.bias"] = state[f"attention.{part}.bias"][inner]
        for norm in ("attention_norm", "mlp_norm"):
            for kind in ("weight", "bias"):
                result[f"blocks.{new}.{norm}.{kind}"] = state[f"{norm}.{kind}"][hidden]
        result |= {
            f"blocks.{new}.attention.output.weight": (
                state["attention.output.weight"][hidden][:, inner]
            ),
            f"blocks.{new}.attention.output.bias": state["attention.output.bias"][hidden],
            f"blocks.{new}.up.weight": state["up.weight"][neurons][:, hidden],
            f"blocks.{new}.up.bias": state["up.bias"][neurons],
            f"blocks.{new}.down.weight": state["down.weight"][hidden][:, neurons],
            f"blocks.{new}.down.bias": state["down.bias"][hidden],
        }
    state = tower.state_dict()
    result["projection.weight"] = state["projection.weight"][:, hidden]
    for kind in ("weight", "bias"):
        result[f"final_norm.{kind}"] = state[f"final_norm.{kind}"][hidden]
    if side == "text":
        result["token_embedding.weight"] = state["token_embedding.weight"][:, hidden]
        result["position_embedding"] = state["position_embedding"][:, hidden]
        result["bag_projection.weight"] = state["bag_projection.weight"][:, hidden]
        result["bag_projection.bias"] = state["bag_projection.bias"]
    else:
        result["patch_embedding.weight"] = state["patch_embedding.weight"][hidden]
        result["patch_embedding.bias"] = state["patch_embedding.bias"][hidden]
        result["class_token"] = state["class_token"][..., hidden]
        result["position_embedding"] = state["position_embedding"][..., hidden]
        for kind in ("weight", "bias"):
            result[f"first_norm.{kind}"] = state[f"first_norm.{kind}"][hidden]
    return result


def assert_state(tower: torch.nn.Module, expected: dict[str, torch.Tensor]) -> None:
    found = tower.state_dict()
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("side", ["text", "image"])
def test_leading_units_are_those_of_plain_indexing(
    source: Checkpoint, samples: Samples, side: str
) -> None:
    made = student(SMALL)
    settings = inherited(pick=[1, 3], width="leading")
    if side == "text":
        inherit_text(made, tiny_tokenizer(), source, settings, samples)
    else:
        inherit_image(made, source, settings, samples)
    counts = {0: (2, 24), 2: (1, 40)}
    expected = cut_by_hand(
        source.model,
        side,
        [0, 2],
        torch.arange(16),
        lambda layer: tuple(torch.arange(count) for count in counts[layer]),
    )
    assert_state(getattr(made, side), expected)


def test_a_projection_of_another_size_stays_at_its_start(
    source: Checkpoint, samples: Samples
) -> None:
    made, fresh = student(WHOLE, dim=16), student(WHOLE, dim=16)
    inherit_text(made, tiny_tokenizer(), source, inherited(), samples)
    for name in ("projection.weight", "bag_projection.weight"):
        assert torch.equal(made.text.state_dict()[name], fresh.text.state_dict()[name])
    assert torch.equal(made.text.final_norm.bias, source.model.text.final_norm.bias)


def test_a_cut_vocabulary_reads_and_embeds_as_the_source_does(
    source: Checkpoint, samples: Samples
) -> None:
    cut = cut_vocabulary(source.tokenizer, SENTENCES, context_length=12)
    made = student(WHOLE, tokenizer=cut)
    inherit_text(made, cut, source, inherited(), samples, frozen=True)
    short = ["two dogs", "red a cat", "the snow"]
    few = torch.from_numpy(cut.batch(short)).long()
    assert few.max() < cut.vocabulary_size < source.tokenizer.vocabulary_size
    many = torch.from_numpy(source.tokenizer.batch(short)).long()
    with torch.no_grad():
        torch.testing.assert_close(made.encode_text(few), source.model.encode_text(many))


def test_a_token_that_the_source_lacks_starts_at_the_mean_of_its_pieces() -> None:
    old = Tokenizer.from_merges("a b\n", context_length=8)
    new = Tokenizer.from_merges("a b\nab c</w>\nx y\n", context_length=8)
    table = torch.randn(old.vocabulary_size, 4)
    rows = translated_rows(table, old, new)
    row = {old.token(id): table[id] for id in range(old.vocabulary_size)}
    assert torch.equal(rows[:513], table[:513])
    torch.testing.assert_close(rows[513], (row["ab"] + row["c</w>"]) / 2)
    torch.testing.assert_close(rows[514], (row["x"] + row["y"]) / 2)
    assert torch.equal(rows[515:], table[513:])


def test_factorised_towers_start_at_the_nearest_matrices(
    source: Checkpoint, samples: Samples
) -> None:
    blocks = {**WHOLE, "ranks": [{"up": 8}, {}, {"query": 8}]}
    made = student(blocks, embedding_rank=8)
    inherit_text(made, tiny_tokenizer(), source, inherited(), samples)
    given = source.model.text
    for found, wanted in [
        (made.text.blocks[0].up, given.blocks[0].up),
        (made.text.blocks[2].attention.query, given.blocks[2].attention.query),
        (made.text.token_embedding, given.token_embedding),
    ]:
        left, values, right = torch.linalg.svd(wanted.weight.detach(), full_matrices=False)
        nearest = (left[:, :8] * values[:8]) @ right[:8]
        torch.testing.assert_close(whole_weight(found), nearest, atol=1e-4, rtol=1e-4)
    assert torch.equal(made.text.blocks[0].up.expand.bias, given.blocks[0].up.bias)
    assert torch.equal(made.text.blocks[0].down.weight, given.blocks[0].down.weight)


def test_a_rank_above_the_matrixs_own_loses_nothing() -> None:
    torch.manual_seed(0)
    given, target = torch.nn.Linear(6, 4), LowRankLinear(6, 4, 8)
    copy_linear(target, given)
    x = torch.randn(5, 6)
    torch.testing.assert_close(target(x), given(x))
    again = torch.nn.Linear(6, 4)
    copy_linear(again, target)
    torch.testing.assert_close(again.weight, given.weight)


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ({**WHOLE, "heads": [4] * 4, "neurons": [8] * 4}, "has 4 layers and the source 3"),
        ({**WHOLE, "heads": [4, 4, 4]}, r"keep 4 units of the source's text.blocks.1.head, .* 3;"),
        ({**WHOLE, "neurons": [72, 48, 64]}, r"72 units .* text.blocks.0.neuron, which has 64"),
        ({**WHOLE, "width": 40}, "40 units of the source's text.hidden, which has 32"),
        ({**WHOLE, "head_dim": 16}, "head_dim is 16 and the source's 8"),
        ({**WHOLE, "activation": "quick_gelu"}, "activation is quick_gelu and the source's gelu"),
    ],
)
def test_a_student_that_is_no_part_of_the_source_is_refused(
    source: Checkpoint, samples: Samples, blocks: Blocks, said: str
) -> None:
    with pytest.raises(RecipeError, match=rf"start\.text_layers.*{said}"):
        inherit_text(student(blocks), tiny_tokenizer(), source, inherited(), samples)


def test_what_else_cannot_be_inherited_is_refused(source: Checkpoint, samples: Samples) -> None:
    tokenizer = tiny_tokenizer()
    with pytest.raises(RecipeError, match=r"pick must list 3 layers from 1 to 3, not \[1, 2\]"):
        inherit_text(student(WHOLE), tokenizer, source, inherited(pick=[1, 2]), samples)
    with pytest.raises(RecipeError, match="causal is false and the source's true"):
        inherit_text(student(WHOLE, causal=False), tokenizer, source, inherited(), samples)
    long = tokenizer.with_context(17)
    with pytest.raises(RecipeError, match="context_length is 17, and the source has 16 positions"):
        inherit_text(student(WHOLE, tokenizer=long), long, source, inherited(), samples)
    other = Tokenizer.from_merges("q z\n", context_length=16)
    with pytest.raises(RecipeError, match=r"freeze_token_embedding needs the source's own tokens"):
        made = student(WHOLE, tokenizer=other)
        inherit_text(made, other, source, inherited(), samples, frozen=True)
    for side, inherit in (("text", inherit_text), ("image", inherit_image)):
        arguments = (tokenizer,) if side == "text" else ()
        with pytest.raises(RecipeError, match=f"start.{side}_layers: .*choose criterion: magn"):
            inherit(student(SMALL), *arguments, source, inherited(), Samples(Data(), 0))


def test_image_towers_of_another_kind_or_grid_are_refused(
    source: Checkpoint, samples: Samples, tmp_path: Path
) -> None:
    timm = {"kind": "timm", "backbones": [{"name": "test_resnet"}]}
    convolutional = tiny_checkpoint(tmp_path / "timm", image=timm)
    with pytest.raises(RecipeError, match="image tower is of kind timm"):
        inherit_image(student(WHOLE), convolutional, inherited(), samples)
    finer = {"kind": "vit", "patch": 8, "blocks": WHOLE}
    with pytest.raises(RecipeError, match="patches of 8 in photos of 32 pixels, the source 16"):
        inherit_image(tiny_model(image=finer), source, inherited(), samples)

"""Models cut to a budget out of one checkpoint."""

import pytest
import torch

from retrieval.compress.elastic.extract import Ordered, extract, ordered
from retrieval.compress.elastic.nesting import Nesting
from retrieval.compress.prune.budget import Budget
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.dual_encoder import DualEncoder, parameter_count
from retrieval.spec.errors import CheckpointError, RecipeError, SurgeryError
from retrieval.spec.tower import Tower
from tests.compress.prune.small_task import batch
from tests.tiny import tiny_model, tiny_tokenizer

BLOCKS = {"width": 32, "head_dim": 8, "layers": 3, "heads": 4, "neurons": 128}
VIT = {"kind": "vit", "patch": 16, "blocks": BLOCKS}
NESTING = {
    "granularity": ["head", "neuron"],
    "tiers": [0.75, {"width": 0.5, "depth": 0.5}],
    "layers": {"image": [2, 0, 1], "text": [0, 2, 1]},
}


class NeuronMeter:
    """A millisecond for every 16 neurons of a tower."""

    measured = 0

    def milliseconds(self, model: DualEncoder, tokenizer: Tokenizer, tower: Tower) -> float:
        self.measured += 1
        return sum(getattr(model.config, tower).blocks.neurons) / 16


def model() -> DualEncoder:
    return tiny_model(image=VIT, text={"blocks": BLOCKS})


def source(nesting: dict[str, object] | None = NESTING) -> Ordered:
    return ordered(model(), nesting and Nesting.model_validate(nesting))


def cut_to(of: Ordered, **budget: object):
    return extract(of, Budget.model_validate(budget), tiny_tokenizer(), NeuronMeter())


@pytest.mark.parametrize("nesting", [NESTING, None], ids=["elastic", "ordinary"])
def test_the_largest_size_within_a_number_of_parameters(nesting: dict[str, object] | None) -> None:
    of = source(nesting)
    limit = round(0.7 * parameter_count(of.model))
    cut = cut_to(of, parameters=limit)
    assert cut.figure == parameter_count(cut.model) <= limit
    assert parameter_count(cut.model) > 0.85 * limit
    assert of.trained == (nesting is not None)


def test_a_budget_of_one_tower_leaves_the_other_whole() -> None:
    of = source()
    limit = round(0.7 * parameter_count(of.model.text))
    cut = cut_to(of, parameters=limit, tower="text")
    assert parameter_count(cut.model.text) <= limit
    assert cut.model.config.image == of.model.config.image
    assert set(cut.sizes) == {"text"}


def test_bytes_are_of_the_weights_that_are_left() -> None:
    of = source()
    cut = cut_to(of, bytes="300kB")
    assert 250_000 < 4 * parameter_count(cut.model) <= 300_000


def test_milliseconds_are_of_each_tower() -> None:
    cut = cut_to(source(), ms=10)
    for blocks in (cut.model.config.image.blocks, cut.model.config.text.blocks):
        assert sum(blocks.neurons) <= 160
        assert sum(blocks.neurons) > 110
    assert cut.figure <= 10


def test_a_model_within_its_budget_stays_whole() -> None:
    of = source()
    cut = cut_to(of, parameters="1G")
    assert cut.model.config == of.model.config
    assert all(tier.width == tier.depth == 1 for tier in cut.sizes.values())


def test_an_elastic_model_keeps_the_first_units_and_the_listed_layers() -> None:
    of = source()
    # Two layers of 80 neurons: between the tiers of width 0.75 and 0.5.
    blocks = cut_to(of, ms=10, tower="text").model.text.blocks
    for block, layer in zip(blocks, (0, 2), strict=True):
        whole = of.model.text.blocks[layer].up.weight
        assert torch.equal(block.up.weight, whole[: len(block.up.weight)])


def test_an_ordinary_model_keeps_its_largest_weights_and_all_layers() -> None:
    before = model()
    with torch.no_grad():
        for parameter in before.text.blocks[0].up.parameters():
            parameter[:100] *= 1e-3
    of = ordered(before, None)
    pixels, ids, _ = batch(1, before)
    with torch.no_grad():
        assert torch.allclose(of.model.encode_text(ids), before.encode_text(ids), atol=1e-5)
    cut = cut_to(of, ms=6, tower="text")
    assert len(cut.model.text.blocks) == 3
    assert len(cut.model.text.blocks[0].up.weight) == 32
    assert cut.model.text.blocks[0].up.weight[:28].abs().mean() > 0.01


def test_what_cannot_be_reached_or_cut() -> None:
    with pytest.raises(RecipeError, match="parameters of 100 cannot be reached: cut as far"):
        cut_to(source(), parameters=100)
    with pytest.raises(RecipeError, match="not a sparsity"):
        cut_to(source(), sparsity=0.5)
    text_only = {**NESTING, "layers": {"text": [0, 1, 2]}}
    with pytest.raises(SurgeryError, match="the image tower has nothing"):
        cut_to(source(text_only), parameters=2000, tower="image")
    with pytest.raises(CheckpointError, match="speaks of 2 layers of the text tower, which has 3"):
        source({**NESTING, "layers": {"text": [0, 1]}})

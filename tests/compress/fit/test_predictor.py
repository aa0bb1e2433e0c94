"""Predicted milliseconds, and the features that they are predicted from."""

import numpy as np
import pytest
import torch

from retrieval.compress.elastic.extract import Ordered, ordered
from retrieval.compress.fit.costs import Costs
from retrieval.compress.fit.predictor import fit_predictor, judge_predictor
from retrieval.compress.fit.settings import Search
from retrieval.compress.fit.space import Space
from retrieval.compress.prune.select import indices
from retrieval.models.surgery.shrink import shrink
from tests.tiny import SIZE, tiny_model, tiny_tokenizer

BLOCKS = {"width": 32, "head_dim": 8, "layers": 3, "heads": 4, "neurons": 64}
MOBILE = {"kind": "timm", "backbones": [{"name": "mobilenetv3_small_050"}]}


@pytest.fixture(scope="module")
def source() -> Ordered:
    return ordered(tiny_model(image=MOBILE, text={"blocks": BLOCKS}), None)


def test_a_linear_law_is_recovered() -> None:
    random = np.random.default_rng(0)
    features = random.uniform(1, 50, (24, 4))
    times = 0.2 + features @ [0.05, 0.3, 0.01, 0.1]
    predictor = fit_predictor(features, times.tolist())
    unseen = random.uniform(1, 50, (50, 4))
    assert predictor(unseen) == pytest.approx(0.2 + unseen @ [0.05, 0.3, 0.01, 0.1], rel=0.01)


def test_noise_costs_about_what_it_is() -> None:
    random = np.random.default_rng(1)
    features = random.uniform(1, 50, (40, 4))
    times = (0.2 + features @ [0.05, 0.3, 0.01, 0.1]) * random.uniform(0.95, 1.05, 40)
    accuracy = judge_predictor(features, times.tolist(), range(30, 40))
    assert accuracy.shapes == 10
    assert accuracy.median < 0.05
    assert accuracy.median <= accuracy.worst < 0.1


def test_held_out_shapes_are_not_fitted_to() -> None:
    features = np.arange(1.0, 13.0)[:, None]
    times = (2 * features[:, 0]).tolist()
    times[5] = 1200.0
    accuracy = judge_predictor(features, times, [5])
    assert accuracy.median == accuracy.worst == pytest.approx(0.99, abs=0.005)


def test_features_that_never_change_do_no_harm() -> None:
    features = np.column_stack([np.arange(1.0, 13.0), np.full(12, 7.0), np.zeros(12)])
    predictor = fit_predictor(features, (3 * features[:, 0] + 1).tolist())
    assert predictor(features[:1])[0] == pytest.approx(4, rel=0.01)


@pytest.mark.parametrize("side", ["image", "text"])
def test_counted_features_are_those_of_the_model_that_is_cut_out(
    source: Ordered, side: str
) -> None:
    given = (
        torch.zeros(1, 3, SIZE, SIZE)
        if side == "image"
        else torch.from_numpy(tiny_tokenizer().batch(["a dog"])).long()
    )
    space = Space(source, side, Search())
    whole = Costs(getattr(source.model, side), side, space.groups, given)
    keep = space.keep(space.choices.draw(np.random.default_rng(5)))
    small = shrink(source.model, indices(keep))
    expected = Costs(getattr(small, side), side, [], given).features({})
    assert whole.features(keep) == pytest.approx(expected)
    assert (expected < whole.features(space.keep(space.choices.largest))).any()


def test_multiplications_of_a_small_transformer_by_hand(source: Ordered) -> None:
    ids = torch.from_numpy(tiny_tokenizer().batch(["a dog"])).long()
    space = Space(source, "text", Search())
    costs = Costs(source.model.text, "text", space.groups, ids)
    length, width, dim = ids.shape[1], 32, source.model.config.embedding_dim
    block = 4 * width * 32 + 2 * width * 64
    whole = costs.features(space.keep(space.choices.largest))
    assert whole[0] * 1e6 == pytest.approx(3 * length * block + width * dim)
    assert whole[1] == 0
    assert whole[3] == 3 * 6 + 1


def test_shapes_of_a_transformer_and_of_a_convolutional_network(source: Ordered) -> None:
    text = Space(source, "text", Search(widths=(0.25, 0.5)))
    assert [gene.name for gene in text.genes] == ["layers", "heads", "neurons"]
    assert text.choices.counts == (3, 3, 3)
    assert text.describe((1, 0, 2)) == {"layers": 2, "heads": 1, "neurons": 64}
    each = Space(source, "text", Search(widths=(0.5,), per_layer=True, layers=False))
    assert [gene.name for gene in each.genes][:4] == ["heads 0", "heads 1", "heads 2", "neurons 0"]
    image = Space(source, "image", Search())
    assert image.genes[0].name.startswith("channels 0.")
    # Shares that round to the same multiple of 8 are one choice.
    assert all(len(set(gene.counts)) == len(gene.counts) > 1 for gene in image.genes)
    config = shrink(source.model, indices(text.keep((1, 0, 2)))).config.text.blocks
    assert (config.heads, config.neurons) == ((1, 1), (64, 64))

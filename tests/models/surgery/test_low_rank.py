from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from export.bundle import pack_bundle
from retrieval.models.checkpoint import load_checkpoint, save_checkpoint
from retrieval.models.dual_encoder import parameter_count
from retrieval.models.low_rank import (
    LowRankEmbedding,
    LowRankLinear,
    initialise,
    make_embedding,
    make_linear,
    whole_weight,
)
from retrieval.models.surgery.low_rank import (
    factorise,
    factorise_embedding,
    rank_for_energy,
    set_token_embedding,
)
from retrieval.models.surgery.shrink import shrink
from retrieval.spec.errors import SurgeryError
from retrieval.spec.model import Ranks, Transformer
from tests.models.surgery.towers import (
    HEADS_NEURONS_LAYERS,
    all_groups,
    assert_same,
    awake_model,
    differ,
    silence,
)
from tests.tiny import tiny_model, tiny_tokenizer


def nearest(weight: Tensor, rank: int) -> np.ndarray:
    """The nearest matrix of a rank, through eigenvectors of its square."""
    matrix = weight.detach().numpy().astype(np.float64)
    _, vectors = np.linalg.eigh(matrix.T @ matrix)
    main = vectors[:, -rank:]
    return matrix @ main @ main.T


def test_two_factors_are_their_product_with_a_bias() -> None:
    linear = LowRankLinear(24, 16, 8)
    x = torch.randn(2, 5, 24)
    expected = x @ (linear.expand.weight @ linear.reduce.weight).T + linear.expand.bias
    torch.testing.assert_close(linear(x), expected)
    torch.testing.assert_close(linear(x), x @ whole_weight(linear).T + linear.expand.bias)
    embedding = LowRankEmbedding(50, 16, 8)
    chosen = torch.tensor([[3, 7], [49, 0]])
    torch.testing.assert_close(embedding(chosen), whole_weight(embedding)[chosen])


@pytest.mark.parametrize("rank", [None, 32])
def test_whole_and_factorised_layers_start_with_the_same_deviation(rank: int | None) -> None:
    torch.manual_seed(0)
    for layer in (make_linear(256, 512, rank), make_embedding(2000, 256, rank)):
        initialise(layer, 0.05)
        assert whole_weight(layer).std().item() == pytest.approx(0.05, rel=0.05)


def test_factors_are_the_nearest_of_their_rank() -> None:
    model = awake_model()
    found = factorise(model, "text", rank=8, linears=("value", "up"))
    for before, after in zip(model.text.blocks, found.text.blocks, strict=True):
        for name in ("up", "value"):
            one, other = before.linears[name], after.linears[name]
            small = 8 * sum(one.weight.shape) < one.weight.numel()
            assert isinstance(other, LowRankLinear) == small
            expected = nearest(one.weight, 8) if small else one.weight.detach().numpy()
            np.testing.assert_allclose(whole_weight(other).detach(), expected, atol=1e-5)
        torch.testing.assert_close(after.down.weight, before.down.weight)
    # 16 rows (two heads of 8) and 32 columns: 8 * 48 = 384 weights instead of 512.
    ranks = found.config.text.blocks.ranks
    assert ranks[0] == Ranks(value=8, up=8)
    assert parameter_count(found) < parameter_count(model)
    assert found.config.image == model.config.image


def test_full_energy_of_a_low_rank_matrix_loses_nothing() -> None:
    model = awake_model()
    with torch.no_grad():
        for block in model.image.blocks:
            for linear in block.linears.values():
                linear.weight.copy_(torch.from_numpy(nearest(linear.weight, 5)))
    found = factorise(model, "image", energy=0.999999)
    assert any(one.up == 8 for one in found.config.image.blocks.ranks)
    assert_same(found, model)


def test_ranks_by_hand() -> None:
    values = torch.tensor([3.0, 2.0, 1.0] + [0.0] * 29)  # squares 9, 4, 1 of 14
    assert rank_for_energy(values, 9 / 14 - 1e-6) == 8
    flat = torch.ones(32)
    assert [rank_for_energy(flat, share) for share in (0.25, 0.26, 0.5, 1.0)] == [8, 16, 16, 32]
    assert rank_for_energy(torch.zeros(32), 0.9) == 8


def test_factors_that_are_not_smaller_are_put_together_again() -> None:
    model = awake_model(factors=True)
    found = factorise(model, "text", rank=24)
    assert all(set(one.model_dump().values()) == {None} for one in found.config.text.blocks.ranks)
    assert_same(found, model)


def test_an_embedding_of_low_rank_is_the_nearest() -> None:
    model = awake_model()
    found = factorise_embedding(model, 16)
    assert found.config.text.embedding_rank == 16
    assert found.text.token_embedding.table.weight.shape == (
        model.config.tokens.vocabulary_size,
        16,
    )
    expected = nearest(model.text.token_embedding.weight, 16)
    np.testing.assert_allclose(
        whole_weight(found.text.token_embedding).detach(), expected, atol=1e-4
    )
    again = awake_model(factors=True)
    set_token_embedding(again.text, model.text.token_embedding.weight)
    np.testing.assert_allclose(
        whole_weight(again.text.token_embedding).detach(), expected, atol=1e-4
    )


def test_what_cannot_be_factorised_is_one_line() -> None:
    model = awake_model()
    cases = {
        "either the rank": {},
        "either the rank of": {"rank": 8, "energy": 0.5},
        "positive multiple of 8, not 12": {"rank": 12},
        "up to 1, not 1.5": {"energy": 1.5},
        "no linear is called side": {"rank": 8, "linears": ("up", "side")},
    }
    for message, request in cases.items():
        with pytest.raises(SurgeryError, match=message):
            factorise(model, "text", **request)
    with pytest.raises(SurgeryError, match="x 32 is not smaller at rank 32"):
        factorise_embedding(model, 32)
    with pytest.raises(SurgeryError, match=r"\(3, 32\) does not fit"):
        set_token_embedding(model.text, torch.zeros(3, 32))
    timm = tiny_model(image={"kind": "timm", "backbones": [{"name": "mobilenetv4_conv_small_035"}]})
    with pytest.raises(SurgeryError, match="image tower is no transformer of ours"):
        factorise(timm, "image", rank=8)


def test_pruning_then_factorising_and_pruning_again() -> None:
    pruned = shrink(awake_model(), HEADS_NEURONS_LAYERS)
    factored = factorise(pruned, "text", rank=8)
    assert differ(factored, awake_model())
    kept = {"text.blocks.1.head": torch.tensor([1]), "text.layer": torch.tensor([1])}
    silenced = factorise(pruned, "text", rank=8)
    silence(all_groups(silenced, "head", "layer"), kept)
    assert_same(shrink(factored, kept), silenced)


def test_ranks_are_said_once_for_all_layers_or_for_each() -> None:
    spec = Transformer.model_validate({"width": 64, "layers": 3, "ranks": {"up": 16}})
    assert spec.ranks == (Ranks(up=16),) * 3
    assert Transformer.model_validate(spec.model_dump()) == spec
    assert Transformer.model_validate({"width": 64, "layers": 2}).ranks == ()
    with pytest.raises(ValidationError, match="heads lists 2 layers and ranks 1"):
        Transformer.model_validate({"width": 64, "layers": 2, "ranks": [{"up": 16}]})
    with pytest.raises(ValidationError, match="multiple of 8"):
        Transformer.model_validate({"width": 64, "layers": 2, "ranks": {"up": 12}})


def test_a_factorised_model_is_a_checkpoint_and_exports_as_plain_linears(tmp_path: Path) -> None:
    whole = shrink(awake_model(), HEADS_NEURONS_LAYERS)
    model = factorise_embedding(factorise(whole, "text", rank=8), 16)
    model = factorise(model, "image", energy=0.5)
    save_checkpoint(tmp_path / "checkpoint", model, tiny_tokenizer())
    checkpoint = load_checkpoint(tmp_path / "checkpoint")
    assert_same(checkpoint.model, model)
    pack_bundle(checkpoint, tmp_path / "bundle", precision="int8")
    text = onnx.load(tmp_path / "bundle" / "onnx" / "text-int8.onnx")
    kinds = [node.op_type for node in text.graph.node]
    linears = sum(
        2 if isinstance(linear, LowRankLinear) else 1
        for block in model.text.blocks
        for linear in block.linears.values()
    )
    assert linears == 6 * 2 + 6
    # Products too are the embedding's second factor and, in each block, those of attention.
    assert kinds.count("MatMulInteger") + kinds.count("MatMul") == linears + 1 + 2 * 2

import numpy as np
import torch
import torch.nn.functional as F

from retrieval.compress.start.correlation import (
    Projections,
    canonical_correlation,
    factorised,
    token_bags,
)
from retrieval.compress.start.settings import CanonicalCorrelation
from retrieval.evaluate.recall import evaluate_retrieval
from retrieval.models.text import TextTransformer
from retrieval.spec.model import TextTower
from tests.tiny import TEXT, tiny_tokenizer

RIDGES = CanonicalCorrelation(image_ridge=1e-3, text_ridge=1e-3)


def planted(
    photos: int, *, captions: int = 2, noise: float = 0.1
) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Photos of 24 features and captions over 40 words that share four directions."""
    rng = torch.Generator().manual_seed(0)
    shared = torch.randn(photos, 4, generator=rng)
    features = shared @ torch.randn(4, 24, generator=rng)
    features += noise * torch.randn(photos, 24, generator=rng)
    owner = np.repeat(np.arange(photos), captions)
    words = F.relu(shared[owner] @ torch.randn(4, 40, generator=rng))
    words = (words + noise * torch.rand(words.shape, generator=rng)).round(decimals=2)
    bags = words / words.sum(dim=1, keepdim=True).sqrt()
    return features - features.mean(dim=0), bags.to_sparse().coalesce(), owner


def embedded(
    found: Projections, features: torch.Tensor, bags: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    return features @ found.image, bags.to_dense() @ found.token + found.text_offset


def test_it_finds_the_planted_directions() -> None:
    features, bags, owner = planted(600)
    found = canonical_correlation(features, bags, owner, RIDGES, 8)
    images, texts = embedded(found, features, bags)
    correlations = [
        np.corrcoef(images[owner, column], texts[:, column])[0, 1] for column in range(8)
    ]
    assert min(correlations[:4]) > 0.8
    assert max(correlations[4:]) < 0.5
    torch.testing.assert_close(texts.mean(dim=0), torch.zeros(8), atol=1e-3, rtol=0)


def test_it_equals_the_textbook_solution() -> None:
    features, bags, owner = planted(200, captions=1, noise=0.5)
    settings = CanonicalCorrelation(image_ridge=0.2, text_ridge=0.3, power=0)
    found = canonical_correlation(features, bags, owner, settings, 3)
    x, dense = features.double(), bags.to_dense().double()
    rarity = torch.log1p(200 / (dense.sum(dim=0) + 1))
    y = (dense - dense.mean(dim=0)) * rarity
    cxx, cyy, cxy = x.T @ x / 200, y.T @ y / 200, x.T @ y / 200
    cxx += 0.2 * cxx.diagonal().mean() * torch.eye(24)
    cyy += 0.3 * cyy.diagonal().mean() * torch.eye(40)
    values, vectors = torch.linalg.eig(
        torch.linalg.solve(cxx, cxy) @ torch.linalg.solve(cyy, cxy.T)
    )
    order = values.real.argsort(descending=True)[:3]
    for column, index in enumerate(order):
        expected = F.normalize(vectors.real[:, index], dim=0)
        direction = F.normalize(found.image[:, column].double(), dim=0)
        assert abs(expected @ direction) > 0.999


def test_power_weighs_directions_by_their_correlation() -> None:
    features, bags, owner = planted(300, noise=0.5)
    flat = canonical_correlation(features, bags, owner, RIDGES.model_copy(update={"power": 0}), 6)
    steep = canonical_correlation(features, bags, owner, RIDGES.model_copy(update={"power": 2}), 6)
    ratio = (steep.image.norm(dim=0) / flat.image.norm(dim=0)).tolist()
    assert ratio == sorted(ratio, reverse=True)
    assert ratio[0] <= 1


def test_a_planted_corpus_is_retrieved_far_above_chance() -> None:
    features, bags, owner = planted(800)
    photos = 400
    seen = owner < photos
    found = canonical_correlation(
        features[:photos], bags.to_dense()[seen].to_sparse().coalesce(), owner[seen], RIDGES, 4
    )
    images, texts = embedded(found, features[photos:], bags.to_dense()[~seen].to_sparse())
    scores = evaluate_retrieval(
        F.normalize(images, dim=1).numpy(), F.normalize(texts, dim=1).numpy(), owner[~seen] - photos
    )
    # Chance is 10 of 400.
    assert scores.text_to_image.recall[10] > 0.3
    assert scores.image_to_text.recall[10] > 0.3


def test_the_token_table_is_kept_whole_when_the_width_allows_it() -> None:
    table = torch.randn(30, 6)
    found = Projections(image=torch.zeros(1, 6), token=table, text_offset=torch.zeros(6))
    for width in (6, 10):
        embedding, projection = factorised(found, width)
        assert embedding.shape == (30, width)
        torch.testing.assert_close(embedding @ projection, table, atol=1e-4, rtol=1e-4)
    embedding, projection = factorised(found, 3)
    left, values, right = torch.linalg.svd(table, full_matrices=False)
    best = (left[:, :3] * values[:3]) @ right[:3]
    torch.testing.assert_close(embedding @ projection, best, atol=1e-4, rtol=1e-4)


def test_bags_are_what_the_text_tower_sums() -> None:
    tokenizer = tiny_tokenizer()
    sentences = ["a dog and a dog", "", "the quick brown fox jumps over the lazy dog again"]
    ids = tokenizer.batch(sentences)
    spec = TextTower.model_validate({**TEXT, "bag_of_tokens": True})
    tower = TextTransformer(spec, tokenizer.spec, 8).eval()
    assert tower.bag_projection is not None
    # The transformer's own projection starts at zero, so the output is the bag alone.
    torch.nn.init.zeros_(tower.bag_projection.bias)
    with torch.no_grad():
        table = tower.token_embedding.weight @ tower.bag_projection.weight.T
        expected = token_bags(ids, tokenizer).to_dense() @ table
        torch.testing.assert_close(tower(torch.from_numpy(ids)), expected, atol=1e-5, rtol=1e-4)

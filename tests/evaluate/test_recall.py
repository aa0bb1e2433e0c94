import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.evaluate import recall
from retrieval.evaluate.recall import evaluate_retrieval
from retrieval.spec.errors import EvaluationError


def plain_recall(scores, positive, k):
    """CLIP_benchmark's definition, one query at a time, ties to the earlier candidate."""
    hits = 0
    for row, right in zip(scores, positive, strict=True):
        first = sorted(range(len(row)), key=lambda j: (-row[j], j))[:k]
        hits += any(right[j] for j in first)
    return hits / len(scores)


def plain_median_rank(scores, positive):
    ranks = []
    for row, right in zip(scores, positive, strict=True):
        order = sorted(range(len(row)), key=lambda j: (-row[j], j))
        ranks.append(1 + min(place for place, j in enumerate(order) if right[j]))
    return float(np.median(ranks))


@st.composite
def corpora(draw):
    photos = draw(st.integers(1, 12))
    extra = draw(st.lists(st.integers(0, photos - 1), max_size=30))
    owner = draw(st.permutations([*range(photos), *extra]))
    # Few small whole numbers: exact in float32, so that ties are many and true.
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    images = random.integers(-1, 2, (photos, 3)).astype(np.float32)
    texts = random.integers(-1, 2, (len(owner), 3)).astype(np.float32)
    return images, texts, np.array(owner)


@settings(max_examples=150, deadline=None)
@given(corpora(), st.sampled_from([1, 7, 40, 10_000]))
def test_equals_the_plain_definition_with_ties_and_in_strips(corpus, at_once):
    images, texts, owner = corpus
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recall, "_SCORES_AT_ONCE", at_once)
        metrics = evaluate_retrieval(images, texts, owner, ks=(1, 2, 5))
    scores = texts @ images.T
    positive = owner[:, None] == np.arange(len(images))
    for k in (1, 2, 5):
        assert metrics.text_to_image.recall[k] == pytest.approx(plain_recall(scores, positive, k))
        assert metrics.image_to_text.recall[k] == pytest.approx(
            plain_recall(scores.T, positive.T, k)
        )
    assert metrics.text_to_image.median_rank == plain_median_rank(scores, positive)
    assert metrics.image_to_text.median_rank == plain_median_rank(scores.T, positive.T)


def test_equals_topk_where_nothing_ties():
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(3)
    images = random.normal(size=(40, 8)).astype(np.float32)
    owner = np.repeat(np.arange(40), 3)
    texts = (images[owner] + random.normal(size=(120, 8))).astype(np.float32)
    metrics = evaluate_retrieval(images, texts, owner)
    scores = torch.from_numpy(texts @ images.T)
    positive = torch.from_numpy(owner[:, None] == np.arange(40))
    for ranking, rows, right in (
        (metrics.text_to_image, scores, positive),
        (metrics.image_to_text, scores.T, positive.T),
    ):
        for k in (1, 5, 10):
            found = right.gather(1, torch.topk(rows, k, dim=1).indices).any(dim=1)
            assert ranking.recall[k] == pytest.approx(found.float().mean().item())


def test_a_model_that_says_the_same_for_all_is_at_chance():
    metrics = evaluate_retrieval(np.ones((50, 4)), np.ones((100, 4)), np.repeat(np.arange(50), 2))
    assert metrics.text_to_image.recall == {1: 1 / 50, 5: 5 / 50, 10: 10 / 50}
    assert metrics.image_to_text.recall == {1: 1 / 50, 5: 3 / 50, 10: 5 / 50}


def test_dictionary_has_the_promised_keys():
    metrics = evaluate_retrieval(np.eye(3), np.eye(3)[[0, 1, 2, 2]], [0, 1, 2, 2])
    perfect = {"recall@1": 1.0, "recall@5": 1.0, "recall@10": 1.0, "median_rank": 1.0}
    assert metrics.to_dict() == {
        "text_to_image": perfect,
        "image_to_text": perfect,
        "photos": 3,
        "captions": 4,
    }
    assert metrics.mean_recall == 1.0


@pytest.mark.parametrize(
    ("images", "texts", "owner", "said"),
    [
        (np.eye(3), np.eye(4), [0, 1, 2, 0], "same dim"),
        (np.eye(3), np.eye(3), [0, 1], "photo_of_caption"),
        (np.eye(3), np.eye(3), [0, 1, 3], "0 to 2"),
        (np.eye(3), np.eye(3), [0, 1, 1], "photo 2 has no caption"),
        (np.eye(3) * np.nan, np.eye(3), [0, 1, 2], "not finite"),
        (np.zeros((0, 3)), np.zeros((0, 3)), [], "nothing to evaluate"),
    ],
)
def test_refuses_what_cannot_be_scored(images, texts, owner, said):
    with pytest.raises(EvaluationError, match=said):
        evaluate_retrieval(images, texts, owner)

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieval.compress.teaching.mining import mine_hard_negatives


def rows(count: int, dim: int = 8, seed: int = 0) -> NDArray[np.float32]:
    found = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.mark.parametrize("queries_are_photos", [True, False])
def test_equals_a_search_by_brute_force(queries_are_photos: bool) -> None:
    owner = np.repeat(np.arange(40), 3)
    photos, captions = rows(40, seed=1), rows(120, seed=2)
    sides = [(photos, np.arange(40)), (captions, owner)]
    (queries, query_photo), (candidates, photo) = sides if queries_are_photos else sides[::-1]
    mined = mine_hard_negatives(queries, candidates, query_photo, photo, count=5)
    for number, query in enumerate(queries):
        order = np.argsort(-(candidates @ query), kind="stable")
        wrong = [index for index in order if photo[index] != query_photo[number]]
        assert mined[number].tolist() == wrong[:5]


def test_what_the_teacher_ranks_as_high_as_the_own_caption_is_left_out() -> None:
    photos, captions = rows(20, seed=1), rows(40, seed=2)
    owner = np.repeat(np.arange(20), 2)
    teacher_photos, teacher_captions = rows(20, seed=3), rows(40, seed=4)
    mined = mine_hard_negatives(
        photos, captions, np.arange(20), owner, count=3,
        teacher_queries=teacher_photos, teacher_candidates=teacher_captions,
    )  # fmt: skip
    filtered = 0
    for photo in range(20):
        scores = teacher_captions @ teacher_photos[photo]
        best_own = scores[owner == photo].max()
        near = np.argsort(-(captions @ photos[photo]), kind="stable")[: 2 * 3 + 2]
        wrong = [index for index in near if owner[index] != photo]
        trusted = [index for index in wrong if scores[index] < best_own]
        filtered += len(wrong) - len(trusted)
        expected = trusted or wrong
        assert mined[photo].tolist() == np.resize(expected, 3).tolist()
        assert not set(mined[photo]) & set(np.flatnonzero(owner == photo))
    assert filtered > 10


def test_own_candidates_stay_out_even_if_the_teacher_trusts_all_others() -> None:
    photos = captions = np.eye(4, dtype=np.float32)
    # To this teacher every caption fits every photo as well as its own.
    same = np.ones((4, 2), np.float32)
    mined = mine_hard_negatives(
        photos, captions, np.arange(4), np.arange(4), count=2,
        teacher_queries=same, teacher_candidates=same,
    )  # fmt: skip
    assert all(photo not in mined[photo] for photo in range(4))


def test_fewer_candidates_than_wanted_repeat() -> None:
    vectors = rows(3)
    mined = mine_hard_negatives(vectors, vectors, np.arange(3), np.arange(3), count=8)
    assert mined.shape == (3, 8)
    assert [set(row) for row in mined.tolist()] == [{1, 2}, {0, 2}, {0, 1}]


def test_many_queries_are_searched_in_parts() -> None:
    queries, candidates = rows(1500, dim=4, seed=1), rows(30, dim=4, seed=2)
    mined = mine_hard_negatives(queries, candidates, np.arange(1500) % 30, np.arange(30), count=1)
    scores = queries @ candidates.T
    scores[np.arange(1500), np.arange(1500) % 30] = -np.inf
    assert (mined[:, 0] == scores.argmax(axis=1)).all()

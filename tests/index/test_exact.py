import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.index.exact import ExactIndex


def unit(rows: int, dim: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@given(
    rows=st.integers(1, 200),
    dim=st.sampled_from([1, 3, 8, 64, 100]),
    top=st.integers(1, 30),
    kept=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_results_equal_numpy(rows: int, dim: int, top: int, kept: float, seed: int) -> None:
    vectors = unit(rows, dim, seed).astype(np.float16)
    queries = unit(2, dim, seed + 1)
    allowed = np.random.default_rng(seed).random(rows) < kept
    found = ExactIndex(vectors).search(queries, top, allowed=allowed)
    scores = queries @ vectors.astype(np.float32).T
    scores[:, ~allowed] = -np.inf
    best = -np.sort(-scores, axis=1)[:, :top]
    expected = int(min(top, allowed.sum()))
    assert (found.rows[:, :expected] >= 0).all()
    assert (found.rows[:, expected:] == -1).all()
    np.testing.assert_allclose(found.scores[:, :expected], best[:, :expected], atol=1e-5)
    for query, row in enumerate(found.rows[:, :expected]):
        assert len(set(row)) == expected
        assert allowed[row].all()
        np.testing.assert_allclose(scores[query, row], best[query, :expected], atol=1e-5)


def test_rows_keep_their_place_when_others_are_excluded() -> None:
    vectors = unit(50, 16, 0).astype(np.float16)
    index = ExactIndex(vectors)
    assert index.search(vectors[7:8].astype(np.float32), 1).rows[0, 0] == 7
    allowed = np.ones(50, bool)
    allowed[:7] = False
    assert index.search(vectors[7:8].astype(np.float32), 1, allowed=allowed).rows[0, 0] == 7
    allowed[7] = False
    assert 7 not in index.search(vectors[7:8].astype(np.float32), 50, allowed=allowed).rows


@pytest.mark.parametrize("allowed", [None, np.zeros(0, bool)])
def test_an_empty_index_finds_nothing(allowed: np.ndarray | None) -> None:
    index = ExactIndex(np.empty((0, 4), np.float16))
    assert len(index) == 0
    assert index.search(np.ones((3, 4), np.float32), 5, allowed=allowed).rows.shape == (3, 0)


def test_a_memory_mapped_file_can_go_after_building(tmp_path) -> None:
    path = tmp_path / "v.fp16"
    unit(10, 4, 0).astype(np.float16).tofile(path)
    index = ExactIndex(np.memmap(path, np.float16, "r", shape=(10, 4)))
    path.unlink()
    assert index.search(unit(10, 4, 0)[3:4], 1).rows[0, 0] == 3

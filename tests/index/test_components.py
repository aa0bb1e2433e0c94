import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval.index import components
from retrieval.index.components import near_components

# A busy machine is no failure.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def by_flooding(vectors: np.ndarray, threshold: float) -> list[int]:
    exact = vectors.astype(np.float32)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    near = exact @ exact.T >= threshold
    first = [-1] * len(vectors)
    for start in range(len(vectors)):
        pending = [start] if first[start] < 0 else []
        while pending:
            row = pending.pop()
            if first[row] < 0:
                first[row] = start
                pending += np.flatnonzero(near[row]).tolist()
    return first


@PATIENT
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 90), st.floats(0.2, 0.99), st.sampled_from([3, 16])
)
def test_groups_are_the_connected_ones(seed: int, rows: int, threshold: float, tile: int) -> None:
    vectors = unit(np.random.default_rng(seed).normal(size=(rows, 3)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(components, "_TALL", tile)
        patch.setattr(components, "_WIDE", 2 * tile + 1)
        found = near_components(vectors, threshold)
    assert found.tolist() == by_flooding(vectors, threshold)


def test_a_chain_is_one_group() -> None:
    angles = np.linspace(0, np.pi, 40)
    vectors = unit(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    assert not near_components(vectors, 0.99).any()


def test_thousands_that_are_all_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(components, "_TALL", 256)
    monkeypatch.setattr(components, "_WIDE", 512)
    progress: list[tuple[int, int]] = []
    vectors = np.ones((2000, 4), np.float16)
    found = near_components(vectors, 0.9, lambda done, total: progress.append((done, total)))
    assert not found.any()
    assert progress[-1] == (2000, 2000)
    assert len(progress) == 8


def test_no_rows() -> None:
    assert near_components(np.empty((0, 4), np.float16), 0.9).tolist() == []

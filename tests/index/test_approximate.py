from collections.abc import Iterator
from functools import cache
from pathlib import Path

import faiss
import numpy as np
import pytest

from retrieval.index import approximate
from retrieval.index.approximate import ApproximateIndex
from retrieval.index.exact import ExactIndex
from retrieval.index.kinds import KINDS, Kind
from retrieval.index.protocol import Matches
from retrieval.index.store import IndexStore, build_index
from retrieval.index.tuning import Budget, Trial, best_trial, recall_of, try_indexes
from retrieval.index.vectors import VectorFile

ROWS, DIM, TOP = 6_000, 32, 10


@cache
def vectors() -> np.ndarray:
    """Clustered, as photos are."""
    chance = np.random.default_rng(0)
    centres = chance.standard_normal((100, DIM))
    drawn = centres[chance.integers(0, 100, ROWS)] + 1.5 * chance.standard_normal((ROWS, DIM))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float16)


@cache
def queries() -> np.ndarray:
    chance = np.random.default_rng(1)
    drawn = vectors()[::300].astype(np.float32) + 0.1 * chance.standard_normal((20, DIM))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


@cache
def built(kind: Kind, rows: int = ROWS) -> faiss.Index:
    return build_index(vectors()[:rows], kind)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # So that libraries of a test's size are not simply compared row by row.
    monkeypatch.setattr(approximate, "_FEW", 50)
    yield


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


def thorough(kind: Kind, rows: int = ROWS, of: int = ROWS) -> ApproximateIndex:
    return ApproximateIndex(built(kind, rows), KINDS[kind], KINDS[kind].efforts[-1], vectors()[:of])


def truth(allowed: np.ndarray | None = None) -> Matches:
    return ExactIndex(vectors()).search(queries(), TOP, allowed=allowed)


def test_most_of_the_exact_answer_is_found_with_exact_scores(kind: Kind) -> None:
    found = thorough(kind).search(queries(), TOP)
    assert recall_of(found, truth()) > 0.9
    for query, rows, scores in zip(queries(), found.rows, found.scores, strict=True):
        np.testing.assert_allclose(vectors()[rows].astype(np.float32) @ query, scores, atol=2e-3)
        assert (np.diff(scores) <= 0).all()


def test_a_greater_effort_finds_more(kind: Kind) -> None:
    quick = ApproximateIndex(built(kind), KINDS[kind], 1, vectors()).search(queries(), TOP)
    assert recall_of(quick, truth()) < recall_of(thorough(kind).search(queries(), TOP), truth())


def test_rows_added_since_are_found(kind: Kind) -> None:
    index = thorough(kind, rows=5_000)
    assert (len(index), index.built_rows) == (ROWS, 5_000)
    late = np.arange(5_000, ROWS, 100)
    found = index.search(vectors()[late].astype(np.float32), 1)
    assert found.rows[:, 0].tolist() == late.tolist()


@pytest.mark.parametrize("share", [0.5, 0.05, 0.005])
def test_only_allowed_rows_are_returned_and_as_many_as_there_are(kind: Kind, share: float) -> None:
    allowed = np.random.default_rng(2).random(ROWS) < share
    found = thorough(kind, rows=5_000).search(queries(), TOP, allowed=allowed)
    assert allowed[found.rows].all()
    assert recall_of(found, truth(allowed)) > 0.85


def test_a_search_that_gets_stuck_is_completed_exactly(kind: Kind) -> None:
    # Only what lies farthest from the query may be returned: few steps of an index lead there.
    query = queries()[:1]
    scores = vectors().astype(np.float32) @ query[0]
    allowed = scores < np.quantile(scores, 0.1)
    index = ApproximateIndex(built(kind), KINDS[kind], 1, vectors())
    found = index.search(query, TOP, allowed=allowed)
    assert allowed[found.rows].all()
    exact = ExactIndex(vectors()).search(query, TOP, allowed=allowed)
    assert found.rows.shape == exact.rows.shape


def test_fewer_rows_than_asked_for(kind: Kind) -> None:
    allowed = np.zeros(ROWS, np.bool_)
    allowed[[3, 5_999]] = True
    found = thorough(kind).search(queries(), TOP, allowed=allowed)
    assert {tuple(sorted(rows[:2])) for rows in found.rows.tolist()} == {(3, 5_999)}
    assert (found.rows[:, 2:] == -1).all()


# -- on disk -----------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> VectorFile:
    file = VectorFile(tmp_path / "space-1.fp16", DIM)
    file.append(vectors(), at=0)
    return file


def test_a_stored_index_answers_as_the_built_one(file: VectorFile, kind: Kind) -> None:
    store, effort = IndexStore(file.path), KINDS[kind].efforts[2]
    assert store.open(file.read(ROWS)) is None
    store.keep(built(kind), kind, effort, file.read(ROWS))
    opened = IndexStore(file.path).open(file.read(ROWS))
    assert opened is not None and opened.effort == effort
    expected = ApproximateIndex(built(kind), KINDS[kind], effort, vectors()).search(queries(), TOP)
    np.testing.assert_array_equal(opened.search(queries(), TOP).rows, expected.rows)


def test_a_new_index_replaces_the_old_one_and_leaves_nothing(file: VectorFile) -> None:
    store = IndexStore(file.path)
    store.keep(built("hnsw", 5_000), "hnsw", 64, file.read(5_000))
    store.keep(built("ivfpq"), "ivfpq", 8, file.read(ROWS))
    assert store.describe().kind == "ivfpq"
    assert len(list(file.path.parent.iterdir())) == 3
    store.drop()
    assert [path.name for path in file.path.parent.iterdir()] == ["space-1.fp16"]
    assert store.open(file.read(ROWS)) is None


def test_an_index_of_other_vectors_is_not_used(file: VectorFile) -> None:
    IndexStore(file.path).keep(built("hnsw"), "hnsw", 64, file.read(ROWS))
    file.append(vectors()[::-1], at=0)
    assert IndexStore(file.path).open(file.read(ROWS)) is None
    assert IndexStore(file.path).open(file.read(100)) is None


@pytest.mark.parametrize("damage", ["cut", "missing", "description", "another"])
def test_a_damaged_index_is_not_used(file: VectorFile, damage: str) -> None:
    store = IndexStore(file.path)
    store.keep(built("hnsw"), "hnsw", 64, file.read(ROWS))
    [stored] = file.path.parent.glob("*.faiss")
    match damage:
        case "cut":
            stored.write_bytes(stored.read_bytes()[:1000])
        case "missing":
            stored.unlink()
        case "description":
            next(file.path.parent.glob("*.json")).write_text("{")
        case "another":
            faiss.write_index(faiss.IndexFlatIP(3), str(stored))
    assert store.open(file.read(ROWS)) is None


def test_a_failed_write_keeps_the_index_in_use(
    file: VectorFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = IndexStore(file.path)
    store.keep(built("hnsw", 5_000), "hnsw", 64, file.read(5_000))

    def full(*_: object) -> None:
        raise RuntimeError("Error in fwrite: No space left on device")

    monkeypatch.setattr(faiss, "write_index", full)
    with pytest.raises(OSError, match="No space left"):
        store.keep(built("hnsw"), "hnsw", 64, file.read(ROWS))
    assert store.open(file.read(ROWS)).built_rows == 5_000
    assert len(list(file.path.parent.iterdir())) == 3


# -- choosing ----------------------------------------------------------------------------


def test_every_kind_is_measured_against_exact() -> None:
    tried = list(try_indexes(vectors(), queries(), ["hnsw", "ivfpq"]))
    trials = [candidate.trial for candidate in tried]
    assert trials[0].kind == "exact" and trials[0].recall == 1 and tried[0].built is None
    assert [t.effort for t in trials if t.kind == "hnsw"] == list(KINDS["hnsw"].efforts)
    assert all(0 < t.p50_ms <= t.p95_ms and 0 < t.recall <= 1 for t in trials)
    sizes = {t.kind: t.bytes for t in trials}
    assert sizes["ivfpq"] < sizes["exact"] < sizes["hnsw"]


def trial(kind: str, recall: float, ms: float, size: float) -> Trial:
    return Trial(kind, 1, recall, ms / 2, ms, int(size), 1.0)


def test_exact_is_chosen_while_it_fits() -> None:
    exact, graph = trial("exact", 1, 15, 1e9), trial("hnsw", 0.99, 1, 1e9)
    assert best_trial([exact, graph], Budget()) == exact


def test_the_fastest_that_finds_enough_is_chosen() -> None:
    trials = [
        trial("exact", 1, 60, 1e9),
        trial("hnsw", 0.90, 1, 1e9),
        trial("hnsw", 0.96, 2, 1e9),
        trial("hnsw", 0.99, 4, 1e9),
        trial("ivfpq", 0.97, 3, 1e8),
    ]
    assert best_trial(trials, Budget()) == trials[2]
    assert best_trial(trials, Budget(bytes=5e8)) == trials[4]
    assert best_trial(trials, Budget(milliseconds=0.1)) is None

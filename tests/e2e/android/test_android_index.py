"""The app's index of photos: what was committed stays, whatever happens; searches are right."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.e2e.android.android_core import Core

DIM = 24
VECTORS, JOURNAL = "vectors.f16", "journal.txt"


def vectors(count: int, *, seed: int = 0) -> NDArray[np.float32]:
    found = np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def add(core: Core, rows: NDArray[np.float32], *, first: int = 0, modified: int = 5) -> None:
    for place, row in enumerate(rows):
        core("add", id=first + place, modified=modified, size=100, vector=row.tolist())


def opened(core: Core, folder: Path) -> int:
    size: int = core("open", folder=str(folder), dim=DIM)
    return size


def state(core: Core) -> Any:
    return core("state")


def only_file(folder: Path, name: str) -> Path:
    (found,) = folder.glob(f"generation-*/{name}")
    return found


def check_search(core: Core, rows: NDArray[np.float32], ids: list[int]) -> None:
    query = vectors(1, seed=99)[0]
    stored = rows.astype(np.float16).astype(np.float32)
    scores = stored @ query
    best = np.argsort(-scores, kind="stable")[:7]
    found = core("search", query=query.tolist(), top=7)
    assert [id for id, _ in found] == [ids[row] for row in best]
    np.testing.assert_allclose([score for _, score in found], scores[best], atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 5, 300, 5000])
def test_the_nearest_photos_are_numpys(tmp_path: Path, core: Core, count: int) -> None:
    opened(core, tmp_path)
    rows = vectors(count)
    add(core, rows, first=1000)
    core("commit")
    check_search(core, rows, list(range(1000, 1000 + count)))
    assert opened(core, tmp_path) == count
    check_search(core, rows, list(range(1000, 1000 + count)))


def test_equal_photos_come_in_the_order_of_their_indexing(tmp_path: Path, core: Core) -> None:
    opened(core, tmp_path)
    add(core, np.repeat(vectors(1), 9, axis=0))
    core("commit")
    found = core("search", query=vectors(1)[0].tolist(), top=4)
    assert [id for id, _ in found] == [0, 1, 2, 3]


def test_photos_are_searched_once_they_are_committed(tmp_path: Path, core: Core) -> None:
    opened(core, tmp_path)
    add(core, vectors(3))
    assert core("search", query=vectors(1)[0].tolist(), top=5) == []
    assert core("vector", id=2) == pytest.approx(vectors(3)[2].tolist())
    core("commit")
    assert len(core("search", query=vectors(1)[0].tolist(), top=5)) == 3


def test_changed_and_vanished_photos_leave_tombstones(tmp_path: Path, core: Core) -> None:
    opened(core, tmp_path)
    rows = vectors(10)
    add(core, rows)
    core("commit")
    assert core("knows", id=3, modified=5, size=100)
    assert not core("knows", id=3, modified=6, size=100)
    assert not core("knows", id=3, modified=5, size=101)
    changed = vectors(1, seed=7)
    add(core, changed, first=3, modified=6)
    assert core("keep", ids=[0, 1, 2, 3, 4, 5, 6]) == 3
    core("commit")
    for _ in range(2):
        assert state(core) == {"size": 7, "tombstones": 4, "unreadable": {}}
        assert core("knows", id=3, modified=6, size=100)
        assert not core("knows", id=8, modified=5, size=100)
        assert core("vector", id=8) is None
        kept = np.concatenate([rows[:3], rows[4:7], changed])
        check_search(core, kept, [0, 1, 2, 4, 5, 6, 3])
        opened(core, tmp_path)


def test_a_bad_photo_is_remembered_and_tried_again_once_it_changes(
    tmp_path: Path, core: Core
) -> None:
    opened(core, tmp_path)
    reason = 'not a photo: "caf\u00e9"\nat byte 3'
    core("unreadable", id=1, modified=5, size=9, reason=reason)
    add(core, vectors(1), first=2)
    core("unreadable", id=2, modified=7, size=9, reason="truncated")
    core("commit")
    opened(core, tmp_path)
    expected = {"size": 0, "tombstones": 1, "unreadable": {"1": reason, "2": "truncated"}}
    assert state(core) == expected
    assert core("knows", id=1, modified=5, size=9)
    assert not core("knows", id=1, modified=6, size=9)
    core("compact")
    assert state(core) == expected | {"tombstones": 0}
    assert core("keep", ids=[]) == 2


def test_compaction_keeps_the_living_and_their_order(tmp_path: Path, core: Core) -> None:
    opened(core, tmp_path)
    rows = vectors(20)
    add(core, rows)
    core("commit")
    core("keep", ids=list(range(1, 20, 2)))
    core("compact")
    for _ in range(2):
        assert state(core) == {"size": 10, "tombstones": 0, "unreadable": {}}
        assert only_file(tmp_path, VECTORS).stat().st_size == 10 * DIM * 2
        check_search(core, rows[1::2], list(range(1, 20, 2)))
        opened(core, tmp_path)
    more = vectors(4, seed=3)
    add(core, more, first=50)
    core("commit")
    opened(core, tmp_path)
    both = np.concatenate([rows[1::2], more])
    check_search(core, both, [*range(1, 20, 2), 50, 51, 52, 53])


def test_compaction_waits_until_it_is_worth_it(tmp_path: Path, core: Core) -> None:
    opened(core, tmp_path)
    add(core, vectors(600))
    core("commit")
    core("keep", ids=list(range(100, 600)))
    assert not core("compact if worthwhile")
    core("keep", ids=list(range(400, 600)))
    assert core("compact if worthwhile")
    assert state(core) == {"size": 200, "tombstones": 0, "unreadable": {}}


def test_a_crash_between_vectors_and_journal_loses_only_what_was_not_committed(
    tmp_path: Path, core: Core
) -> None:
    opened(core, tmp_path)
    rows = vectors(6)
    add(core, rows)
    core("commit")
    file = only_file(tmp_path, VECTORS)
    whole = file.read_bytes()
    file.write_bytes(whole + b"\x11" * (DIM * 2 + 5))
    assert opened(core, tmp_path) == 6
    assert file.read_bytes() == whole
    check_search(core, rows, list(range(6)))


def test_every_cut_of_either_file_leaves_a_beginning_of_the_index(
    tmp_path: Path, core: Core
) -> None:
    rows = vectors(12)
    opened(core, tmp_path)
    for row in range(12):
        add(core, rows[row : row + 1], first=row)
        core("commit")
    for name, step in ((JOURNAL, 7), (VECTORS, 31)):
        whole = only_file(tmp_path, name).read_bytes()
        for length in range(0, len(whole), step):
            folder = tmp_path / f"{name}-{length}"
            (folder / "generation-0").mkdir(parents=True)
            for part in (JOURNAL, VECTORS):
                data = only_file(tmp_path, part).read_bytes()
                cut = data[:length] if part == name else data
                (folder / "generation-0" / part).write_bytes(cut)
            left = opened(core, folder)
            if name == VECTORS:
                assert left == length // (DIM * 2)
            check_search(core, rows[:left], list(range(left)))
            add(core, rows[left:], first=left)
            core("commit")
            assert opened(core, folder) == 12
            check_search(core, rows, list(range(12)))


def test_a_changed_byte_in_the_journal_ends_it_there(tmp_path: Path, core: Core) -> None:
    opened(core, tmp_path)
    rows = vectors(5)
    add(core, rows)
    core("commit")
    journal = only_file(tmp_path, JOURNAL)
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b" 2 ", b" 7 ", 1)
    journal.write_bytes(b"".join(lines))
    assert opened(core, tmp_path) == 2
    check_search(core, rows[:2], [0, 1])


def test_an_unfinished_compaction_is_dropped(tmp_path: Path, core: Core) -> None:
    opened(core, tmp_path)
    add(core, vectors(4))
    core("commit")
    left = tmp_path / "generation-1.unfinished"
    left.mkdir()
    (left / VECTORS).write_bytes(b"\0" * 500)
    assert opened(core, tmp_path) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["generation-0"]


def test_vectors_of_another_length_begin_anew(tmp_path: Path, core: Core) -> None:
    opened(core, tmp_path)
    add(core, vectors(4))
    core("commit")
    assert core("open", folder=str(tmp_path), dim=DIM + 1) == 0


def test_halves_are_numpys(core: Core) -> None:
    random = np.random.default_rng(4)
    numbers = np.concatenate(
        [
            np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)[:31744:7],
            random.normal(size=2000).astype(np.float32),
            (random.normal(size=2000) * 1e-6).astype(np.float32),
            # Halfway between two neighbours, where rounding goes to the even one.
            np.float32([2049, 2051, 1 + 2**-11, 1 + 3 * 2**-11, 2**-25, 3 * 2**-25, 65519, 65520]),
            np.float32([0, -0.0, 1e9, -1e9, 2**-24, 2**-14, 65504, -2.5]),
        ]
    )
    found = core("halves", numbers=numbers.tolist())
    with np.errstate(over="ignore"):
        right = numbers.astype(np.float16)
    assert [code for code, _ in found] == right.view(np.uint16).tolist()
    back = np.array([text.replace("Infinity", "inf") for _, text in found], np.float32)
    np.testing.assert_array_equal(back, right.astype(np.float32))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 9), st.integers(1, 3)),
        st.tuples(st.just("bad"), st.integers(0, 9), st.integers(1, 3)),
        st.tuples(st.just("keep"), st.integers(0, 9), st.integers(0, 9)),
        st.tuples(st.sampled_from(["commit", "compact", "reopen"]), st.just(0), st.just(0)),
    ),
    max_size=30,
)


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_any_sequence_of_changes(
    tmp_path_factory: pytest.TempPathFactory, core: Core, steps: list[tuple[str, int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("index")
    pool = vectors(40, seed=8)
    opened(core, folder)
    now: dict[int, tuple[int, bool]] = {}
    committed: dict[int, tuple[int, bool]] = {}
    for what, one, other in steps:
        if what == "add":
            add(core, pool[one * 4 + other :][:1], first=one, modified=other)
            now[one] = (other, True)
        elif what == "bad":
            core("unreadable", id=one, modified=other, size=100, reason="bad")
            now[one] = (other, False)
        elif what == "keep":
            present = [id for id in now if one <= id <= other]
            core("keep", ids=present)
            now = {id: now[id] for id in present}
        elif what == "reopen":
            opened(core, folder)
            now = dict(committed)
        else:
            core(what)
            committed = dict(now)
        living = {id: entry for id, entry in now.items() if entry[1]}
        found = state(core)
        assert found["size"] == len(living)
        assert set(found["unreadable"]) == {str(id) for id in now if id not in living}
        for id, (modified, _) in now.items():
            assert core("knows", id=id, modified=modified, size=100)
        for id, (modified, _) in living.items():
            right = pool[id * 4 + modified].astype(np.float16).astype(np.float32)
            np.testing.assert_allclose(core("vector", id=id), right, atol=1e-3)
    core("commit")
    best = core("search", query=pool[0].tolist(), top=50)
    assert {id for id, _ in best} == {id for id, entry in now.items() if entry[1]}

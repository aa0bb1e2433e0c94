from pathlib import Path

import numpy as np
import pytest

from retrieval.index.vectors import VectorFile
from retrieval.spec.errors import CatalogError


def some(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, 8)).astype(np.float32)


@pytest.fixture
def file(tmp_path: Path) -> VectorFile:
    return VectorFile(tmp_path / "vectors" / "space.fp16", 8)


def test_what_is_appended_is_read_as_fp16(file: VectorFile) -> None:
    file.append(some(3), at=0)
    file.append(some(2, seed=1), at=3)
    expected = np.concatenate([some(3), some(2, seed=1)]).astype(np.float16)
    read = file.read(5)
    assert read.dtype == np.float16
    np.testing.assert_array_equal(read, expected)
    assert file.path.stat().st_size == 5 * 8 * 2


def test_a_torn_tail_is_cut_at_the_committed_row(file: VectorFile) -> None:
    file.append(some(3), at=0)
    with file.path.open("ab") as stream:
        stream.write(b"half a row")
    np.testing.assert_array_equal(file.read(3), some(3).astype(np.float16))
    file.append(some(1, seed=1), at=3)
    np.testing.assert_array_equal(file.read(4)[3], some(1, seed=1)[0].astype(np.float16))
    assert file.path.stat().st_size == 4 * 8 * 2


def test_uncommitted_rows_are_overwritten(file: VectorFile) -> None:
    file.append(some(5), at=0)
    file.append(some(1, seed=1), at=2)
    np.testing.assert_array_equal(file.read(3)[2], some(1, seed=1)[0].astype(np.float16))
    assert file.path.stat().st_size == 3 * 8 * 2


@pytest.mark.parametrize("action", ["read", "append"])
def test_a_file_shorter_than_promised_is_damaged(file: VectorFile, action: str) -> None:
    file.append(some(2), at=0)
    with pytest.raises(CatalogError, match="holds 2 vectors, the catalog counts 3"):
        file.read(3) if action == "read" else file.append(some(1), at=3)
    np.testing.assert_array_equal(file.read(2), some(2).astype(np.float16))


def test_a_missing_file_holds_nothing(file: VectorFile) -> None:
    assert file.read(0).shape == (0, 8)
    with pytest.raises(CatalogError, match="holds 0 vectors"):
        file.read(1)


def test_vectors_of_another_length_are_refused(file: VectorFile) -> None:
    with pytest.raises(ValueError, match=r"\(2, 4\)"):
        file.append(np.zeros((2, 4), np.float32), at=0)

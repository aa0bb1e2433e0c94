import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.models.sparse.bitmap import bitmap_bytes, pack_bitmap, unpack_bitmap
from retrieval.models.sparse.csr import csr_bytes, pack_csr, unpack_csr
from retrieval.models.sparse.int8 import dequantise_rows, quantise_rows
from retrieval.spec.errors import CheckpointError

MATRIX = np.array([[0, 5, 0, 0, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 2]], np.float32)


def test_bits_of_a_bitmap_count_from_the_lowest() -> None:
    parts = pack_bitmap(MATRIX)
    # Weights 1, 10 and 14 are there.
    assert parts["bitmap"].tolist() == [0b00000010, 0b01000100]
    assert parts["values"].tolist() == [5, 1, 2]


def test_rows_of_csr() -> None:
    parts = pack_csr(MATRIX)
    assert parts["row_start"].tolist() == [0, 1, 1, 3]
    assert parts["columns"].tolist() == [1, 0, 4]
    assert parts["values"].tolist() == [5, 1, 2]
    assert (parts["row_start"].dtype, parts["columns"].dtype) == (np.int32, np.int16)


@pytest.mark.parametrize(("columns", "kind"), [(2**15, np.int16), (2**15 + 1, np.int32)])
def test_columns_have_the_smallest_type_that_holds_the_last_one(columns: int, kind: type) -> None:
    matrix = np.zeros((1, columns), np.int8)
    matrix[0, -1] = 1
    parts = pack_csr(matrix)
    assert parts["columns"].dtype == kind
    assert np.array_equal(unpack_csr(parts, 1, columns), matrix)
    assert csr_bytes(1, columns, 1, 1) == 1 + 8 + np.dtype(kind).itemsize


@st.composite
def matrices(draw: st.DrawFn) -> np.ndarray:
    rows, columns = draw(st.integers(1, 9)), draw(st.integers(1, 20))
    density = draw(st.sampled_from([0, 0.05, 0.5, 0.95, 1]))
    kind = draw(st.sampled_from([np.float32, np.float16, np.int8]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = random.integers(1, 127, (rows, columns)) * random.choice([-1, 1], (rows, columns))
    return (values * (random.random((rows, columns)) < density)).astype(kind)


@settings(deadline=None)
@given(matrices())
def test_both_layouts_give_the_matrix_back_and_take_the_bytes_they_say(matrix: np.ndarray) -> None:
    rows, columns = matrix.shape
    nonzeros, width = int((matrix != 0).sum()), matrix.itemsize
    bitmap, csr = pack_bitmap(matrix), pack_csr(matrix)
    for back in (unpack_bitmap(bitmap, rows, columns), unpack_csr(csr, rows, columns)):
        assert back.dtype == matrix.dtype and np.array_equal(back, matrix)
    of_bitmap, of_csr = (sum(one.nbytes for one in parts.values()) for parts in (bitmap, csr))
    assert of_bitmap == bitmap_bytes(rows, columns, nonzeros, width)
    assert of_csr == csr_bytes(rows, columns, nonzeros, width)


def test_bytes_by_hand() -> None:
    # 768 x 3072 at 90 % zeros: 235,930 of 2,359,296 stay.
    assert bitmap_bytes(768, 3072, 235_930, 4) == 294_912 + 943_720
    assert csr_bytes(768, 3072, 235_930, 4) == 235_930 * 6 + 769 * 4
    assert csr_bytes(768, 3072, 235_930, 4, column_bytes=4) == 235_930 * 8 + 769 * 4
    assert csr_bytes(1, 2**20, 2**31, 1) == 2**31 * 5 + 2 * 8
    assert bitmap_bytes(3, 3, 0, 4) == 2


def test_negative_zero_is_not_stored() -> None:
    matrix = np.array([[-0.0, 1.0]], np.float32)
    for back in (
        unpack_bitmap(pack_bitmap(matrix), 1, 2),
        unpack_csr(pack_csr(matrix), 1, 2),
    ):
        assert not np.signbit(back).any()


def test_codes_by_hand() -> None:
    matrix = np.array([[127, -63.6, 0.4, 0], [0, 0, 0, 0], [0.5, -0.5, 0.25, 0]], np.float32)
    codes, scale = quantise_rows(matrix)
    assert codes.tolist() == [[127, -64, 0, 0], [0, 0, 0, 0], [127, -127, 64, 0]]
    assert scale[:2].tolist() == [1.0, 0.0]
    assert scale[2] == pytest.approx(0.5 / 127, rel=2**-15)
    assert dequantise_rows(codes, scale)[0].tolist() == [127, -64, 0, 0]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1))
def test_quantising_the_grid_again_changes_nothing(row: list[float]) -> None:
    matrix = np.array([row], np.float32)
    codes, scale = quantise_rows(matrix)
    grid = dequantise_rows(codes, scale)
    # Half a step, and what the last code loses because scales are rounded down.
    assert (np.abs(grid - matrix) <= 0.51 * scale + 1.5e-36).all()
    again = quantise_rows(grid)
    assert np.array_equal(again[0], codes) and np.array_equal(again[1], scale)


def damaged_bitmap(parts: dict) -> list[tuple[dict, str]]:
    padded = parts["bitmap"].copy()
    padded[-1] |= 0b10000000
    return [
        ({"bitmap": parts["bitmap"]}, "has no values"),
        (parts | {"bitmap": parts["bitmap"][:1]}, "1 bytes, not 2"),
        (parts | {"bitmap": parts["bitmap"].view(np.int8)}, "not a vector of uint8"),
        (parts | {"values": parts["values"][:, None]}, "not a vector of float32"),
        (parts | {"values": parts["values"][:2]}, "counts 3 values, not 2"),
        (parts | {"bitmap": padded}, "goes on behind the last weight"),
    ]


def damaged_csr(parts: dict) -> list[tuple[dict, str]]:
    def with_columns(*columns: int) -> dict:
        return parts | {"columns": np.array(columns, np.int16)}

    def with_starts(*starts: int) -> dict:
        return parts | {"row_start": np.array(starts, np.int32)}

    return [
        ({"values": parts["values"], "columns": parts["columns"]}, "has no row_start"),
        (with_columns(1, 0, 5), "a column outside 0 to 4"),
        (with_columns(-1, 0, 4), "a column outside 0 to 4"),
        (with_columns(1, 0), "2 columns, not 3"),
        (with_columns(1, 4, 0), "do not ascend"),
        (with_columns(1, 4, 4), "do not ascend"),
        (with_starts(0, 1, 3), "3 row starts, not 4"),
        (with_starts(), "0 row starts, not 4"),
        (with_starts(0, 1, 1, 2), "do not divide 3 values"),
        (with_starts(1, 1, 1, 3), "do not divide 3 values"),
        (with_starts(0, 2, 1, 3), "do not divide 3 values"),
    ]


def test_damaged_parts_are_refused() -> None:
    cases = [(unpack_bitmap, *case) for case in damaged_bitmap(pack_bitmap(MATRIX))]
    cases += [(unpack_csr, *case) for case in damaged_csr(pack_csr(MATRIX))]
    for unpack, parts, problem in cases:
        with pytest.raises(CheckpointError, match=problem):
            unpack(parts, 3, 5)

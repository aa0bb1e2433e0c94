"""An exact FAISS index of any size, written without reading it into memory."""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import faiss
import numpy as np

from retrieval.spec.errors import CacheError
from retrieval.spec.files import replacing
from retrieval.spec.reasons import first_line

Progress = Callable[[int, int], None]
"""Called with the rows that are done, and all rows."""

_BLOCK = 65_536
# Fields of FAISS's file: the number of rows behind the type and the dimension, and as the last
# thing of an empty index the number of bytes of its codes.
_ROWS_AT = 8
_COUNT = struct.Struct("<q")


def write_exact(
    arrays: Sequence[Path], dim: int, path: Path, progress: Progress | None = None
) -> int:
    """Join arrays into one index of fp16 rows, scored by inner product.

    FAISS's fp16 code of a vector is that vector in fp16, so what the arrays hold is copied
    behind the header that FAISS itself writes, block by block.

    Args:
        arrays: ``.npy`` files, float16 ``(rows, dim)`` each, in the order of the ids.
        dim: Length of a vector.
        path: The index; an earlier one is replaced.
        progress: Told of each block.

    Returns:
        How many rows it has.

    Raises:
        CacheError: An array is damaged, or this FAISS writes its files in another way.
        OSError: The disk is full or read-only.
    """
    empty = faiss.IndexScalarQuantizer(
        dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    total = sum(len(open_rows(array, dim)) for array in arrays)
    header = bytearray(faiss.serialize_index(empty).tobytes())
    header[_ROWS_AT : _ROWS_AT + _COUNT.size] = _COUNT.pack(total)
    header[-_COUNT.size :] = _COUNT.pack(total * dim * 2)
    with replacing(path) as temporary:
        try:
            with temporary.open("wb") as stream:
                stream.write(header)
                _copy(arrays, dim, stream, total, progress)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
        _check(temporary, arrays, dim, total)
    return total


def open_rows(array: Path, dim: int) -> np.ndarray:
    """The vectors of a shard, float16 ``(rows, dim)``, mapped from the file.

    Raises:
        CacheError: The file is missing, damaged or of another dimension.
    """
    try:
        rows: np.ndarray = np.load(array, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        first = first_line(error)
        raise CacheError(f"{array} is damaged ({first}); embed to another folder") from error
    if rows.dtype != np.float16 or rows.ndim != 2 or rows.shape[1] != dim:
        raise CacheError(f"{array} holds {rows.dtype} {rows.shape}, not float16 (rows, {dim})")
    return rows


def _copy(
    arrays: Sequence[Path], dim: int, stream: BinaryIO, total: int, progress: Progress | None
) -> None:
    done = 0
    for array in arrays:
        rows = open_rows(array, dim)
        for start in range(0, len(rows), _BLOCK):
            block = np.ascontiguousarray(rows[start : start + _BLOCK], dtype="<f2")
            stream.write(block.tobytes())
            done += len(block)
            if progress is not None:
                progress(done, total)


def _check(path: Path, arrays: Sequence[Path], dim: int, total: int) -> None:
    """Read the index back as any program would, and compare its two ends."""
    try:
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        first, last = open_rows(arrays[0], dim)[0], open_rows(arrays[-1], dim)[-1]
        same = (
            index.ntotal == total
            and np.array_equal(index.reconstruct(0), first.astype(np.float32))
            and np.array_equal(index.reconstruct(total - 1), last.astype(np.float32))
        )
    except RuntimeError:
        same = False
    if not same:
        raise CacheError(
            f"FAISS {faiss.__version__} does not read the index that was written for it; "
            "please report it, and use --index none meanwhile"
        )

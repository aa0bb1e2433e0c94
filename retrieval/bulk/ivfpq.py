"""A compressed FAISS index in parts: trained once, a part for each shard, then merged.

FAISS's own way of building what no machine's memory holds as vectors: parts that share one
training differ only in what their cells list, so they can be made anywhere and joined.
"""

from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np

from retrieval.bulk.exact import Progress, open_rows
from retrieval.index.kinds import KINDS
from retrieval.index.store import write_index
from retrieval.spec.errors import CacheError

KIND = KINDS["ivfpq"]

_BLOCK = 32_768


def write_trained(arrays: Sequence[Path], dim: int, path: Path) -> None:
    """Train an empty index on a sample over all shards.

    Args:
        arrays: float16 ``(rows, dim)`` each.
        dim: Length of a vector.
        path: The trained index.

    Raises:
        CacheError: There are too few vectors to train on, or an array is damaged.
        OSError: The disk is full or read-only.
    """
    lengths = [len(open_rows(array, dim)) for array in arrays]
    total = sum(lengths)
    if total < KIND.least_rows:
        raise CacheError(
            f"--index ivfpq learns from {KIND.least_rows} vectors or more, here are {total}; "
            "use --index exact"
        )
    index = KIND.empty(total, dim)
    chosen = np.sort(
        np.random.default_rng(0).choice(total, KIND.training_rows(total), replace=False)
    )
    starts = np.cumsum([0, *lengths])
    sample = [
        open_rows(array, dim)[chosen[(chosen >= start) & (chosen < end)] - start]
        for array, start, end in zip(arrays, starts[:-1], starts[1:], strict=True)
    ]
    index.train(np.concatenate(sample).astype(np.float32))
    write_index(index, path)


def write_part(trained: Path, array: Path, dim: int, path: Path) -> None:
    """Put the vectors of one shard into a copy of the trained index, as rows from 0.

    Raises:
        CacheError: A file is damaged.
        OSError: The disk is full or read-only.
    """
    part = read_index(trained)
    rows = open_rows(array, dim)
    for start in range(0, len(rows), _BLOCK):
        part.add(rows[start : start + _BLOCK].astype(np.float32))
    write_index(part, path)


def write_merged(
    trained: Path, parts: Sequence[Path], path: Path, progress: Progress | None = None
) -> int:
    """Join parts into one index; the ids of a part follow those of the part before it.

    Memory holds the codes of all vectors, about 72 bytes each at 512 dimensions, and one part.

    Returns:
        How many rows it has.

    Raises:
        CacheError: A file is damaged.
        OSError: The disk is full or read-only.
    """
    merged = read_index(trained)
    for done, path_of_part in enumerate(parts, start=1):
        merged.merge_from(read_index(path_of_part), merged.ntotal)
        if progress is not None:
            progress(done, len(parts))
    write_index(merged, path)
    return int(merged.ntotal)


def read_index(path: Path) -> faiss.Index:
    """Read a FAISS file.

    Raises:
        CacheError: It is missing or damaged.
    """
    try:
        return faiss.read_index(str(path))
    except RuntimeError as error:
        raise CacheError(f"{path} is missing or damaged; remove it and run again") from error

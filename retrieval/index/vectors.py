"""Vectors on disk: fp16 rows, one after the other, only ever appended."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.index.protocol import Vectors
from retrieval.spec.errors import CatalogError

_FP16 = np.dtype("<f2")


class VectorFile:
    """A headless file of little-endian fp16 ``(rows, dim)``.

    How many rows count is not written here: the catalog commits that number after the rows
    are safe on disk. Bytes behind it are the torn tail of a killed run; `append` cuts them.
    """

    def __init__(self, path: Path, dim: int) -> None:
        self.path = path
        self.dim = dim

    def append(self, vectors: NDArray[np.floating], *, at: int) -> None:
        """Write ``vectors`` ``(batch, dim)`` as rows ``at``, ``at + 1``, ... and flush them.

        Args:
            vectors: Any float type; stored as fp16.
            at: The number of rows that the catalog committed.

        Raises:
            CatalogError: The file holds fewer than ``at`` rows.
            OSError: The disk is full or read-only.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise ValueError(f"vectors are {vectors.shape}, the file holds (rows, {self.dim})")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        data = np.ascontiguousarray(vectors, dtype=_FP16).tobytes()
        try:
            with self.path.open("ab") as stream:
                self._check_holds(at, stream.tell())
                stream.truncate(at * self._row_bytes)
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            # Failed writes do not know the name of their file; the user needs it.
            raise OSError(error.errno, error.strerror, str(self.path)) from error

    def read(self, rows: int) -> Vectors:
        """The first ``rows`` rows ``(rows, dim)``, memory-mapped and read-only.

        Raises:
            CatalogError: The file holds fewer rows than that.
        """
        if rows == 0:
            return np.empty((0, self.dim), _FP16)
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            size = 0
        self._check_holds(rows, size)
        return np.memmap(self.path, dtype=_FP16, mode="r", shape=(rows, self.dim))

    @property
    def _row_bytes(self) -> int:
        return self.dim * _FP16.itemsize

    def _check_holds(self, rows: int, size: int) -> None:
        if size < rows * self._row_bytes:
            raise CatalogError(
                f"{self.path} is damaged: it holds {size // self._row_bytes} vectors, the catalog "
                f"counts {rows}; move {self.path.parent.parent} aside and index again"
            )

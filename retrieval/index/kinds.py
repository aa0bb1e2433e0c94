"""The approximate indexes that are offered, as FAISS builds them."""

from dataclasses import dataclass
from typing import Literal, Protocol

import faiss

Kind = Literal["hnsw", "ivfpq"]

# Faiss's own advice: 30 to 256 training vectors for each centroid.
_TRAINING_PER_CENTROID = 64
_LINKS = 32
_EF_CONSTRUCTION = 128


class ApproximateKind(Protocol):
    """One family of indexes: how to make one, how hard it may look, and what it costs."""

    @property
    def kind(self) -> Kind:
        """Its name."""

    @property
    def efforts(self) -> tuple[int, ...]:
        """Search-time settings to choose from, from fast to thorough."""

    @property
    def rescored(self) -> int:
        """How many times ``top`` candidates are scored again with the exact vectors.

        0 when the index holds the vectors themselves, so that its scores are exact.
        """

    @property
    def least_rows(self) -> int:
        """Fewer vectors than this cannot train it."""

    def empty(self, rows: int, dim: int) -> faiss.Index:
        """An untrained index, made for about ``rows`` vectors of length ``dim``."""

    def training_rows(self, rows: int) -> int:
        """How many of ``rows`` vectors the training needs."""

    def bytes_per_vector(self, dim: int) -> float:
        """Memory for one vector when the whole index is read."""

    def parameters(self, effort: int, allowed: faiss.IDSelector | None) -> faiss.SearchParameters:
        """How one search is done."""


@dataclass(frozen=True, slots=True)
class Hnsw:
    """A navigable graph over fp16 vectors (Malkov & Yashunin, 2018): fast, as large as exact.

    Rows cannot be taken out of the graph. Those that no longer count are stepped over while
    searching, and left out when the index is built again.
    """

    kind: Kind = "hnsw"
    efforts: tuple[int, ...] = (32, 64, 128, 256, 512)
    rescored: int = 0
    least_rows: int = 1

    def empty(self, rows: int, dim: int) -> faiss.Index:
        """See `ApproximateKind.empty`."""
        index = faiss.IndexHNSWSQ(
            dim, faiss.ScalarQuantizer.QT_fp16, _LINKS, faiss.METRIC_INNER_PRODUCT
        )
        index.hnsw.efConstruction = _EF_CONSTRUCTION
        return index

    def training_rows(self, rows: int) -> int:
        """See `ApproximateKind.training_rows`; FAISS asks for a call, fp16 needs no data."""
        return min(rows, 1)

    def bytes_per_vector(self, dim: int) -> float:
        """See `ApproximateKind.bytes_per_vector`: the vector, two layers' links, an offset."""
        return 2 * dim + 4 * 2 * _LINKS * (1 + 1 / _LINKS) + 12

    def parameters(self, effort: int, allowed: faiss.IDSelector | None) -> faiss.SearchParameters:
        """See `ApproximateKind.parameters`."""
        return faiss.SearchParametersHNSW(efSearch=effort, sel=allowed)


@dataclass(frozen=True, slots=True)
class IvfPq:
    """Cells of product-quantised vectors (Jégou et al., 2011): a twelfth of the memory.

    A code keeps the order of near vectors only roughly, so several times as many candidates
    as asked for are scored again with the vectors on disk.
    """

    kind: Kind = "ivfpq"
    efforts: tuple[int, ...] = (4, 8, 16, 32, 64, 128)
    rescored: int = 20
    least_rows: int = 256

    def empty(self, rows: int, dim: int) -> faiss.Index:
        """See `ApproximateKind.empty`."""
        cells = self._cells(rows)
        coarse = faiss.IndexHNSWFlat(dim, _LINKS, faiss.METRIC_INNER_PRODUCT)
        index = faiss.IndexIVFPQ(
            coarse, dim, cells, self._code_bytes(dim), 8, faiss.METRIC_INNER_PRODUCT
        )
        index.own_fields = True
        coarse.this.disown()
        # A small library may give fewer points than FAISS likes; it says so on every training.
        index.cp.min_points_per_centroid = index.pq.cp.min_points_per_centroid = 1
        index.cp.spherical = True
        return index

    def training_rows(self, rows: int) -> int:
        """See `ApproximateKind.training_rows`."""
        return min(rows, max(10_000, _TRAINING_PER_CENTROID * self._cells(rows)))

    def bytes_per_vector(self, dim: int) -> float:
        """See `ApproximateKind.bytes_per_vector`: the code and the row's number."""
        return self._code_bytes(dim) + 8

    def parameters(self, effort: int, allowed: faiss.IDSelector | None) -> faiss.SearchParameters:
        """See `ApproximateKind.parameters`."""
        return faiss.SearchParametersIVF(nprobe=effort, sel=allowed)

    @staticmethod
    def _cells(rows: int) -> int:
        # Within FAISS's guidelines: four times the square root, and never mostly empty cells.
        return max(1, min(int(4 * rows**0.5), rows // 39 or 1, 16_384))

    @staticmethod
    def _code_bytes(dim: int) -> int:
        return next(size for size in range(max(1, dim // 8), 0, -1) if dim % size == 0)


KINDS: dict[Kind, ApproximateKind] = {"hnsw": Hnsw(), "ivfpq": IvfPq()}

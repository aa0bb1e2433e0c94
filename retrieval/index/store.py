"""An approximate index on disk, beside the vectors that it was built from."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
from pydantic import Field, ValidationError

from retrieval.index.approximate import ApproximateIndex
from retrieval.index.kinds import KINDS, Kind
from retrieval.index.protocol import Vectors
from retrieval.spec.base import Spec
from retrieval.spec.files import replacing, write_text
from retrieval.spec.reasons import first_line

_SAMPLED_ROWS = 256
_BLOCK = 32_768

Progress = Callable[[int, int], None]
"""Called with the rows added so far and all rows."""


class StoredIndex(Spec):
    """What is known of an index on disk."""

    kind: Kind
    effort: int = Field(gt=0)
    """How hard a search looks, one of the kind's efforts."""
    rows: int = Field(gt=0)
    """Rows of the vector file inside the index."""
    file: str
    vectors: str
    """Digest of the vectors that it was built from."""


class IndexStore:
    """The approximate index of one vector file, or none.

    An index is written beside the one in use and takes its place by the renaming of a small
    description, so that a search sees the old or the new one, each whole. An index whose
    vectors have been rewritten since, by `leanclip vacuum` for instance, is not used.
    """

    def __init__(self, vectors: Path) -> None:
        """The store of the vector file at ``vectors``."""
        self._stem = vectors.with_suffix("")
        self._description = vectors.with_suffix(".index.json")

    def describe(self) -> StoredIndex | None:
        """What is stored; None when there is no index, or none that this version reads."""
        try:
            return StoredIndex.model_validate_json(self._description.read_bytes())
        except (OSError, ValidationError):
            # An index can always be built again: the vectors are the truth.
            return None

    def open(self, vectors: Vectors) -> ApproximateIndex | None:
        """The stored index, memory-mapped, if it fits ``vectors`` ``(rows, dim)``."""
        stored = self.describe()
        if stored is None or stored.rows > len(vectors):
            return None
        if stored.vectors != digest(vectors[: stored.rows]):
            return None
        try:
            built = faiss.read_index(str(self._path(stored)), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError:
            # FAISS says so when the file is missing or damaged.
            return None
        if built.ntotal != stored.rows or built.d != vectors.shape[1]:
            return None
        return ApproximateIndex(built, KINDS[stored.kind], stored.effort, vectors)

    def keep(self, built: faiss.Index, kind: Kind, effort: int, vectors: Vectors) -> None:
        """Write a built index and let it serve.

        Args:
            built: As `build_index` made it of ``vectors``.
            kind: What it was built as.
            effort: One of the kind's efforts.
            vectors: ``(rows, dim)``, those inside the index.

        Raises:
            OSError: The disk is full or read-only; the index in use stays.
        """
        before = self.describe()
        mark = digest(vectors)
        file = f"{self._stem.name}.{kind}-{mark[:12]}.faiss"
        stored = StoredIndex(kind=kind, effort=effort, rows=len(vectors), file=file, vectors=mark)
        write_index(built, self._path(stored))
        write_text(self._description, stored.model_dump_json(indent=2) + "\n")
        if before is not None and before.file != file:
            self._path(before).unlink(missing_ok=True)

    def drop(self) -> None:
        """Search exactly from now on."""
        stored = self.describe()
        self._description.unlink(missing_ok=True)
        if stored is not None:
            self._path(stored).unlink(missing_ok=True)

    def _path(self, stored: StoredIndex) -> Path:
        # Only the name counts: a description may not lead out of its folder.
        return self._description.with_name(Path(stored.file).name)


def build_index(vectors: Vectors, kind: Kind, progress: Progress | None = None) -> faiss.Index:
    """Train an index of ``kind`` and fill it with ``vectors`` ``(rows, dim)``.

    Vectors are read in blocks, so memory holds the index, the training sample and one block.
    """
    rows, dim = vectors.shape
    built = KINDS[kind].empty(rows, dim)
    sample = np.random.default_rng(0).choice(
        rows, KINDS[kind].training_rows(rows), replace=False, shuffle=False
    )
    built.train(vectors[np.sort(sample)].astype(np.float32))
    for start in range(0, rows, _BLOCK):
        built.add(vectors[start : start + _BLOCK].astype(np.float32))
        if progress is not None:
            progress(int(built.ntotal), rows)
    return built


def digest(vectors: Vectors) -> str:
    """Tells vector files apart by some hundred of their rows, in hexadecimal digits."""
    places = np.unique(np.linspace(0, len(vectors) - 1, _SAMPLED_ROWS).astype(np.int64))
    summed = hashlib.sha256(f"{vectors.shape}".encode())
    summed.update(np.ascontiguousarray(vectors[places]).tobytes())
    return summed.hexdigest()


def write_index(index: faiss.Index, path: Path) -> None:
    """Write a FAISS file, whole or not at all.

    Raises:
        OSError: The disk is full or read-only.
    """
    with replacing(path) as temporary:
        try:
            faiss.write_index(index, str(temporary))
        except RuntimeError as error:
            raise OSError(f"{path} cannot be written: {first_line(error)}") from error

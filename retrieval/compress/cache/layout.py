"""Shards in the folder layout that ``clip-retrieval inference`` writes.

Shard ``n`` is ``img_emb/img_emb_n.npy`` and ``text_emb/text_emb_n.npy`` (either may be
absent) with ``metadata/metadata_n.parquet``, rows in the same order; ``n`` is padded with
zeros to the digits of the number of shards. The metadata is written last: a shard without
it does not exist.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from retrieval.spec.errors import CacheError
from retrieval.spec.files import replacing

METADATA = "metadata"
_NOTE = b"leanclip"

Vectors = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Shard:
    """The three files of one shard."""

    folder: Path
    label: str
    """Its number, padded."""

    @property
    def images(self) -> Path:
        """Embeddings of photos."""
        return self.folder / "img_emb" / f"img_emb_{self.label}.npy"

    @property
    def texts(self) -> Path:
        """Embeddings of sentences."""
        return self.folder / "text_emb" / f"text_emb_{self.label}.npy"

    @property
    def metadata(self) -> Path:
        """What each row is."""
        return self.folder / METADATA / f"metadata_{self.label}.parquet"

    def remove(self) -> None:
        """Remove its files, the metadata first, so that no half of a shard is ever read."""
        for path in (self.metadata, self.images, self.texts):
            path.unlink(missing_ok=True)


class ShardContent(NamedTuple):
    """One shard, read."""

    images: NDArray[np.floating] | None
    """``(rows, dim)``, mapped from the file."""
    texts: NDArray[np.floating] | None
    columns: dict[str, list[Any]]
    """By name: ``image_path``, ``caption``, and whatever else the writer noted."""

    @property
    def rows(self) -> int:
        """How many rows the shard has."""
        return max((len(values) for values in self.columns.values()), default=0)


def shard_label(number: int, count: int) -> str:
    """Number of a shard, padded as clip-retrieval pads it for ``count`` shards."""
    return str(number).zfill(len(str(count)))


def find_shards(folder: Path) -> list[Shard]:
    """Complete shards of a folder, by number."""
    matches = (
        re.fullmatch(r"metadata_(\d+)\.parquet", path.name)
        for path in (folder / METADATA).glob("metadata_*.parquet")
    )
    return sorted((Shard(folder, m[1]) for m in matches if m), key=lambda one: int(one.label))


def write_shard(
    shard: Shard,
    images: Vectors | None,
    texts: Vectors | None,
    columns: Mapping[str, Sequence[Any]],
    note: dict[str, Any],
) -> None:
    """Write one shard in place of an earlier one of its number.

    Args:
        shard: Where to.
        images: ``(rows, dim)`` or None.
        texts: ``(rows, dim)`` or None.
        columns: Metadata by column, ``rows`` long.
        note: JSON for `read_note`, kept with the metadata.
    """
    shard.remove()
    for path, vectors in ((shard.images, images), (shard.texts, texts)):
        if vectors is not None:
            with replacing(path) as temporary:
                np.save(temporary, vectors)
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    table = table.replace_schema_metadata({_NOTE: json.dumps(note).encode()})
    with replacing(shard.metadata) as temporary:
        pq.write_table(table, temporary)


def read_shard(shard: Shard) -> ShardContent:
    """Read one shard; embeddings are mapped, not loaded.

    Raises:
        CacheError: A file is damaged, or the files do not belong together.
    """
    try:
        columns = pq.read_table(shard.metadata).to_pydict()
    except (OSError, pa.ArrowException) as error:
        raise _damaged(shard.metadata, error) from error
    rows = ShardContent(None, None, columns).rows
    images, texts = (_read_vectors(path, rows) for path in (shard.images, shard.texts))
    for name, vectors, path in (
        ("image_path", images, shard.images),
        ("caption", texts, shard.texts),
    ):
        # Embeddings of one side may be left out whole, as clip-retrieval's options allow.
        if vectors is None and name in columns and path.parent.exists():
            raise CacheError(f"{path} is missing; remove the cache and build it again")
        if vectors is not None and name not in columns:
            raise CacheError(f"{shard.metadata} has no column {name} for {path}")
    return ShardContent(images, texts, columns)


def read_note(shard: Shard) -> dict[str, Any]:
    """What `write_shard` was given as ``note``; empty for a shard of clip-retrieval.

    Raises:
        CacheError: The metadata is damaged.
    """
    try:
        kept = pq.read_schema(shard.metadata).metadata or {}
        note: dict[str, Any] = json.loads(kept.get(_NOTE, b"{}"))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _damaged(shard.metadata, error) from error
    return note


def _read_vectors(path: Path, rows: int) -> NDArray[np.floating] | None:
    if not path.exists():
        return None
    try:
        vectors: NDArray[np.floating] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(path, error) from error
    if vectors.ndim != 2 or len(vectors) != rows or not np.issubdtype(vectors.dtype, np.floating):
        raise CacheError(
            f"{path} holds {vectors.dtype} {vectors.shape}, but its metadata has {rows} rows; "
            "remove the cache and build it again"
        )
    return vectors


def _damaged(path: Path, error: Exception) -> CacheError:
    first = (str(error) or type(error).__name__).splitlines()[0]
    return CacheError(f"{path} is damaged ({first}); remove the cache and build it again")

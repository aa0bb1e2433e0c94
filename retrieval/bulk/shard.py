"""Embedding one shard: its photos and captions, as arrays and a table."""

import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from retrieval.bulk.folder import IMAGES, METADATA, SUMMARY, TEXTS, OutputFolder, Skipped, Summary
from retrieval.bulk.plan import Plan, source_of
from retrieval.bulk.samples import Sample, Wanted, count_photos, read_samples
from retrieval.bulk.sources import ShardSource
from retrieval.catalog.records import PhotoFile
from retrieval.encode.batches import encode_sentences, finite
from retrieval.encode.protocol import Encoder
from retrieval.search.indexing.decoder import Decoded
from retrieval.search.indexing.feed import PHOTOS_PER_DECODER, Feed
from retrieval.search.indexing.pipeline import BATCH, BATCHES_AHEAD, EncodedBatch, encoded_batches
from retrieval.spec.readable import spelt_out

Vectors = NDArray[np.float16]
Advance = Callable[[int, int], None]
"""Called with the photos that are done, and those of the shard."""


@dataclass(slots=True)
class _Rows:
    """What becomes of the photos of a shard while they come out of the decoders."""

    samples: dict[Path, tuple[int, Sample]] = field(default_factory=dict)
    """Those in the decoders, by file, with their place in the shard."""
    rows: list[tuple[int, Sample, Vectors]] = field(default_factory=list)
    skipped: list[tuple[int, Skipped]] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Photos that will not come again."""
        return len(self.rows) + len(self.skipped)

    def take(self, batch: EncodedBatch, encoder: Encoder) -> None:
        """Note what became of a batch, and remove copies of members of a tar file."""
        # A photo has one picture, unlike a video.
        vectors = np.reshape(batch.embeddings, (-1, encoder.dim))
        halves: Vectors = finite(encoder, vectors).astype(np.float16)
        for photo, vector in zip(batch.photos, halves, strict=True):
            place, sample = self._pop(photo)
            self.rows.append((place, sample, vector))
        for photo in batch.refused:
            place, sample = self._pop(photo)
            why = spelt_out(photo.why or photo.state)
            self.skipped.append((place, Skipped(photo=spelt_out(sample.name), why=why)))

    def _pop(self, photo: Decoded) -> tuple[int, Sample]:
        place, sample = self.samples.pop(photo.file.path)
        if sample.copied:
            sample.file.path.unlink()
        return place, sample


def embed_shard(
    encoder: Encoder,
    out: OutputFolder,
    plan: Plan,
    number: int,
    *,
    decoders: int,
    advance: Advance | None = None,
) -> bool:
    """Embed one shard of a plan and let it take its place.

    Args:
        encoder: Of the plan's embedding space.
        out: Where to.
        plan: What ``number`` is a shard of.
        number: Which.
        decoders: Processes that decode photos while the encoder works; half the cores' number
            or more is taken by few of them for small shards.
        advance: Told of each batch.

    Returns:
        False when another attempt was faster; nothing of this one is kept then.

    Raises:
        CorpusError: A tar file is missing or damaged.
        EvaluationError: The model gives numbers that are not finite.
        OSError: Something cannot be read, or the disk is full.
    """
    started = time.monotonic()
    source = source_of(out, plan, number)
    found = _embedded(encoder, source, Wanted(plan.captions, plan.fields), decoders, advance)
    rows = sorted(found.rows, key=lambda row: row[0])
    images = np.stack([row[2] for row in rows]) if rows else np.empty((0, plan.dim), np.float16)
    texts = None
    if plan.captions:
        captions = [row[1].caption or "" for row in rows]
        texts = encode_sentences(encoder, captions).astype(np.float16)
    summary = Summary(
        shard=number,
        source=str(source.path),
        rows=len(rows),
        skipped=tuple(one for _, one in sorted(found.skipped, key=lambda pair: pair[0])),
        seconds=round(time.monotonic() - started, 3),
    )

    def write(folder: Path) -> None:
        if rows:
            _write(folder / IMAGES, lambda stream: np.save(stream, images))
            if texts is not None:
                _write(folder / TEXTS, lambda stream: np.save(stream, texts))
            table = _table([row[1] for row in rows], captions=plan.captions)
            _write(folder / METADATA, lambda stream: pq.write_table(table, stream))
        text = summary.model_dump_json(indent=2) + "\n"
        _write(folder / SUMMARY, lambda stream: stream.write(text.encode()))

    return out.commit(number, write)


def _embedded(
    encoder: Encoder, source: ShardSource, wanted: Wanted, decoders: int, advance: Advance | None
) -> _Rows:
    total = count_photos(source)
    found = _Rows()
    with (
        tempfile.TemporaryDirectory(prefix="leanclip-") as aside,
        Feed(encoder.preprocessing, expected=min(total, decoders * PHOTOS_PER_DECODER)) as feed,
    ):
        files = _files(source, wanted, Path(aside), found)
        decoded = feed.photos(files, ahead=BATCH * BATCHES_AHEAD)
        with closing(encoded_batches(decoded, encoder, abort=feed.abort)) as batches:
            for batch in batches:
                found.take(batch, encoder)
                if advance is not None:
                    advance(found.done, total)
    return found


def _files(source: ShardSource, wanted: Wanted, aside: Path, found: _Rows) -> Iterator[PhotoFile]:
    for place, sample in enumerate(read_samples(source, wanted, aside)):
        if isinstance(sample, Skipped):
            found.skipped.append((place, sample))
        else:
            found.samples[sample.file.path] = (place, sample)
            yield sample.file


def _table(samples: list[Sample], *, captions: bool) -> pa.Table:
    columns = {"image_path": pa.array([spelt_out(sample.name) for sample in samples])}
    if captions:
        columns["caption"] = pa.array([sample.caption for sample in samples])
    for name in dict.fromkeys(name for sample in samples for name in sample.fields):
        columns[name] = _column([sample.fields.get(name) for sample in samples])
    return pa.table(columns)


def _column(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        # Fields of one name may be numbers here and text there.
        return pa.array([None if value is None else str(value) for value in values])


def _write(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Write a file from memory: numpy and pyarrow do not say which file a full disk cut off."""
    content = io.BytesIO()
    write(content)
    try:
        with path.open("wb") as stream:
            stream.write(content.getbuffer())
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error

"""Embeds a corpus shard by shard, using again whatever earlier runs left."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.compress.cache.cache import BuildCounts, TeacherCache, unfinished_folder
from retrieval.compress.cache.corpus import Corpus
from retrieval.compress.cache.layout import (
    Shard,
    find_shards,
    read_note,
    read_shard,
    write_shard,
)
from retrieval.compress.cache.manifest import (
    MANIFEST,
    CacheManifest,
    manifest_for,
    read_manifest,
    refuse_other,
    write_manifest,
)
from retrieval.compress.cache.plan import PhotoItem, PlannedShard, plan_shards
from retrieval.compress.cache.store import VectorStore
from retrieval.compress.cache.views import encode_views
from retrieval.encode.batches import encode_photos, encode_sentences
from retrieval.encode.protocol import Encoder
from retrieval.spec.defaults import BATCH_SIZE, CACHE_SHARD_SIZE
from retrieval.spec.errors import CorpusError, PhotoError
from retrieval.spec.files import swap_folder
from retrieval.vision.decode import open_photo

Progress = Callable[[int, int], None]
"""Called with the photos and sentences finished so far, and how many there are."""


def build_cache(
    encoder: Encoder,
    corpus: Corpus,
    folder: Path,
    *,
    shard_size: int = CACHE_SHARD_SIZE,
    batch_size: int = BATCH_SIZE,
    progress: Progress | None = None,
) -> TeacherCache:
    """Embed a corpus by a teacher, or bring an earlier cache of it up to date.

    Shards are written into a hidden folder beside ``folder``, which they become when the
    last one is there. So an earlier cache serves until the new one is whole, and a run that
    was killed at any moment goes on where it stopped. A photo or sentence is embedded only
    if no earlier run left its vector. Two runs must not build the same folder at once.

    Args:
        encoder: The teacher.
        corpus: What to embed; rows are stored in its order.
        folder: Where the cache is, or will be.
        shard_size: Rows of a shard: what a killed run may have to embed again.
        batch_size: Photos or sentences that the teacher takes at a time.
        progress: Called after each batch.

    Returns:
        The cache, with `TeacherCache.built` set.

    Raises:
        CacheError: ``folder`` holds a cache of another teacher, preprocessing or kind of
            input, a damaged cache, or something else.
        CorpusError: None of the photos can be decoded.
        EvaluationError: The teacher returned numbers that are not finite.
    """
    manifest = manifest_for(encoder, corpus.kind, corpus.rules)
    build = _Build(encoder, folder, manifest, batch_size, progress)
    planned = plan_shards(corpus, shard_size)
    return build.run(planned)


class _Build:
    """One run: the plan meets what is already there."""

    def __init__(
        self,
        encoder: Encoder,
        folder: Path,
        manifest: CacheManifest,
        batch_size: int,
        progress: Progress | None,
    ) -> None:
        self.encoder = encoder
        self.folder = folder
        self.unfinished = unfinished_folder(folder)
        self.manifest = manifest
        self.batch_size = batch_size
        self.progress = progress
        self.store = VectorStore()
        self.computed = self.done = self.total = 0

    def run(self, planned: list[PlannedShard]) -> TeacherCache:
        finished = refuse_other(self.folder, self.manifest)
        if read_manifest(self.unfinished) is None:
            shutil.rmtree(self.unfinished, ignore_errors=True)
        refuse_other(self.unfinished, self.manifest)
        self.total = sum(shard.items for shard in planned)
        if finished is not None and self._is_current(finished, planned):
            shutil.rmtree(self.unfinished, ignore_errors=True)
            self._advance(self.total)
        else:
            write_manifest(self.unfinished, self.manifest)
            self._write_shards(planned)
            self._publish(planned)
        cache = TeacherCache.open(self.folder)
        skipped = len(cache.unreadable)
        reused = self.total - self.computed - skipped
        return TeacherCache(
            self.folder, cache.manifest, BuildCounts(self.computed, reused, skipped)
        )

    def _is_current(self, finished: CacheManifest, planned: list[PlannedShard]) -> bool:
        return finished.shards == len(planned) and all(
            _is_stored(Shard(self.folder, wanted.label), wanted) for wanted in planned
        )

    def _write_shards(self, planned: list[PlannedShard]) -> None:
        for folder in (self.folder, self.unfinished):
            for shard in find_shards(folder):
                self.store.add_shard(shard)
        for wanted in planned:
            shard = Shard(self.unfinished, wanted.label)
            if _is_stored(shard, wanted):
                self._advance(wanted.items)
            else:
                self._embed_photos(wanted.photos)
                self._embed_sentences(wanted.sentences)
                self._write(shard, wanted)
                self.store.add_shard(shard)

    def _embed_photos(self, items: list[PhotoItem]) -> None:
        missing = [item for item in items if not self.store.has_photo(item)]
        self._advance(len(items) - len(missing))
        rules = self.manifest.views
        if rules is not None:
            seen = encode_views(
                self.encoder, missing, rules, batch_size=self.batch_size, advance=self._advance
            )
            self.store.add_photos(seen.items, seen.embeddings.astype(np.float16), seen.views)
            self.store.add_unreadable(seen.unreadable)
            self.computed += len(seen.items)
            return
        encoded = encode_photos(
            self.encoder,
            [Path(item.photo.path) for item in missing],
            batch_size=self.batch_size,
            advance=self._advance,
        )
        found = [missing[index] for index in encoded.indices]
        self.store.add_photos(found, encoded.embeddings.astype(np.float16))
        self.store.add_unreadable(
            {missing[index].photo: reason for index, reason in encoded.unreadable.items()}
        )
        self.computed += len(found)

    def _embed_sentences(self, sentences: list[str]) -> None:
        missing = [one for one in sentences if not self.store.has_sentence(one)]
        self._advance(len(sentences) - len(missing))
        vectors = encode_sentences(
            self.encoder, missing, batch_size=self.batch_size, advance=self._advance
        )
        self.store.add_sentences(missing, vectors.astype(np.float16))
        self.computed += len(missing)

    def _write(self, shard: Shard, wanted: PlannedShard) -> None:
        unreadable = self.store.unreadable
        rows = [row for row in wanted.rows if not row.photo or row.photo.photo not in unreadable]
        photos = [row.photo for row in rows if row.photo is not None]
        sentences = [row.sentence for row in rows if row.sentence is not None]
        images = texts = None
        columns: dict[str, list[Any]] = {}
        if self.manifest.kind != "sentences":
            images = self.store.photo_vectors(photos, self.manifest.dim)
            columns |= self.store.photo_columns(photos)
        if self.manifest.kind in ("sentences", "pairs"):
            texts = self.store.sentence_vectors(sentences, self.manifest.dim)
            columns["caption"] = sentences
        skipped = dict.fromkeys(item.photo for item in wanted.photos if item.photo in unreadable)
        note = {
            "rows": wanted.digest,
            "unreadable": [[*photo, unreadable[photo]] for photo in skipped],
        }
        write_shard(shard, images, texts, columns, note)

    def _publish(self, planned: list[PlannedShard]) -> None:
        shards = [Shard(self.unfinished, wanted.label) for wanted in planned]
        if not any(read_shard(shard).rows for shard in shards):
            first = next(iter(self.store.unreadable.values()), "")
            raise CorpusError(f"none of the photos can be decoded; the first: {first}")
        kept = {path for shard in shards for path in (shard.metadata, shard.images, shard.texts)}
        kept.add(self.unfinished / MANIFEST)
        # An earlier plan may have left more shards, and a killed run temporary files.
        for path in list(self.unfinished.rglob("*")):
            if path.is_file() and path not in kept:
                path.unlink()
        finished = self.manifest.model_copy(update={"shards": len(planned)})
        write_manifest(self.unfinished, finished)
        swap_folder(self.unfinished, self.folder)

    def _advance(self, items: int) -> None:
        self.done += items
        if self.progress is not None:
            self.progress(self.done, self.total)


def _is_stored(shard: Shard, wanted: PlannedShard) -> bool:
    """Whether a shard is there, of the wanted rows, and no better than it was.

    A photo that could not be decoded is tried again, since the user may have installed what
    was missing.
    """
    if not shard.metadata.exists():
        return False
    note = read_note(shard)
    if note.get("rows") != wanted.digest:
        return False
    read_shard(shard)
    return not any(_decodes(Path(path)) for path, *_ in note["unreadable"])


def _decodes(path: Path) -> bool:
    try:
        open_photo(path)
    except PhotoError:
        return False
    return True

"""One run: reads what is planned, recognises known content, encodes the rest, commits."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from retrieval.catalog.catalog import Catalog
from retrieval.catalog.contents import known_sizes
from retrieval.catalog.records import PhotoFile, Space
from retrieval.encode.protocol import Encoder
from retrieval.index.vectors import VectorFile
from retrieval.search.indexing.decoder import Decoded
from retrieval.search.indexing.feed import Feed
from retrieval.search.indexing.pipeline import (
    BATCH,
    BATCHES_AHEAD,
    EncodedBatch,
    encoded_batches,
)
from retrieval.search.indexing.plan import Plan
from retrieval.search.indexing.report import IndexProgress, Progress
from retrieval.search.indexing.reuse import reuse_vectors
from retrieval.spec.errors import CatalogError

AHEAD = BATCH * BATCHES_AHEAD
# Hashes are compared so many at a time; each time, the catalog is written once.
_COMPARED = 256


@dataclass(slots=True)
class Tally:
    """What has been done so far, in photos."""

    done: int = 0
    added: int = 0
    changed: int = 0
    moved_ids: set[int] = field(default_factory=set)
    reused: int = 0
    same: int = 0
    """Only the file's time had changed."""
    skipped: int = 0

    @property
    def moved(self) -> int:
        """Photos under a new name."""
        return len(self.moved_ids)


class Run:
    """Carries out a `Plan`; for one use.

    Each batch is committed when it is finished, all of it or nothing.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        catalog: Catalog,
        encoder: Encoder,
        vectors_of: Callable[[Space], VectorFile],
        progress: Progress | None,
    ) -> None:
        self.tally = Tally()
        self._plan = plan
        self._catalog = catalog
        self._encoder = encoder
        self._vectors_of = vectors_of
        self._progress = progress

    def space(self) -> Space:
        """The encoder's embedding space.

        Raises:
            CatalogError: Another process moved the catalog aside.
        """
        # Asked each time: compaction by another process gives the model a new space.
        space = self._catalog.space(self._encoder.fingerprint)
        if space is None:
            raise CatalogError(
                f"{self._catalog.path} was replaced while it was being filled; run it again"
            )
        return space

    def execute(self) -> None:
        """Read everything that is planned."""
        if self._plan.restore or self._plan.gone:
            with self._catalog.writing():
                self._catalog.restore(self._plan.restore)
                self._catalog.mark_gone(self._plan.gone)
        if not self._plan.read:
            return
        self._report()
        known, new, repeated = self._by_size(self._plan.read)
        with Feed(self._encoder.preprocessing, expected=len(self._plan.read)) as feed:
            # Photos that were only moved cost little, so that they come first.
            self._compare(known, feed)
            self._encode(new, feed)
            self._compare(repeated, feed)

    def _by_size(
        self, files: list[PhotoFile]
    ) -> tuple[list[PhotoFile], list[PhotoFile], list[PhotoFile]]:
        """Files as large as a known photo; others; and others as large as one of those.

        Only a file that is as large as another can be its copy, and has to be hashed first.
        """
        sizes = known_sizes(self._catalog, self.space())
        known, new, repeated = [], [], []
        met: set[int] = set()
        for file in files:
            if file.size in sizes:
                known.append(file)
            elif file.size in met:
                repeated.append(file)
            else:
                met.add(file.size)
                new.append(file)
        return known, new, repeated

    def _compare(self, files: list[PhotoFile], feed: Feed) -> None:
        remaining = iter(files)
        while some := list(islice(remaining, _COMPARED)):
            with closing(feed.photos(some, ahead=AHEAD, decode=False)) as hashed:
                unknown = self._reuse(list(hashed))
            first: dict[bytes | None, Decoded] = {}
            for item in unknown:
                first.setdefault(item.details.content_sha256, item)
            self._encode([item.file for item in first.values()], feed)
            copies = [i for i in unknown if first[i.details.content_sha256] is not i]
            # What is still unknown is a copy of a file that could not be decoded.
            self._encode([item.file for item in self._reuse(copies)], feed)

    def _reuse(self, hashed: Sequence[Decoded]) -> list[Decoded]:
        """Commit what is known or cannot be read; the rest is returned."""
        if not hashed:
            return []
        readable = [item for item in hashed if item.why is None]
        refused = [item for item in hashed if item.why is not None]
        with self._catalog.writing():
            space = self.space()
            found = reuse_vectors(
                readable, catalog=self._catalog, space=space, vectors=self._vectors_of(space)
            )
            self._record_refused(refused)
        for file, (how, photo_id) in found.items():
            self.tally.same += how == "same"
            if how == "moved":
                self.tally.moved_ids.add(photo_id)
            elif how == "copied":
                self.tally.reused += 1
                self._count_embedded(file)
        self.tally.done += len(found) + len(refused)
        self.tally.skipped += len(refused)
        if found or refused:
            self._report()
        return [item for item in readable if item.file not in found]

    def _encode(self, files: Sequence[PhotoFile], feed: Feed) -> None:
        if not files:
            return
        decoded = feed.photos(files, ahead=AHEAD)
        with closing(encoded_batches(decoded, self._encoder, abort=feed.abort)) as batches:
            for batch in batches:
                self._commit(batch)

    def _commit(self, batch: EncodedBatch) -> None:
        why = f"{self._encoder.name} returned no finite embedding for it"
        refused = list(batch.refused)
        finished, rows = [], []
        for item, embeddings in zip(batch.photos, batch.embeddings, strict=True):
            if np.isfinite(embeddings).all():
                finished.append(item)
                rows.append(embeddings)
            else:
                refused.append(Decoded(item.file, state="unreadable", why=why))
        with self._catalog.writing():
            space = self.space()
            row = self._catalog.row_count(space)
            if rows:
                self._vectors_of(space).append(np.concatenate(rows), at=row)
            for item in finished:
                self._catalog.record_photo(
                    item.file, space, row, details=item.details, moments=item.moments
                )
                row += len(item.moments)
            self._record_refused(refused)
        for item in finished:
            self._count_embedded(item.file)
        self.tally.done += len(finished) + len(refused)
        self.tally.skipped += len(refused)
        self._report()

    def _record_refused(self, refused: Sequence[Decoded]) -> None:
        for item in refused:
            self._catalog.record_skipped(item.file, item.why or "", item.state)

    def _count_embedded(self, file: PhotoFile) -> None:
        changed = file.path in self._plan.changed
        self.tally.changed += changed
        self.tally.added += not changed

    def _report(self) -> None:
        if self._progress is not None:
            tally = self.tally
            self._progress(IndexProgress(tally.done, len(self._plan.read), tally.skipped))

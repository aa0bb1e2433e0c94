"""Bringing the catalog up to date with a folder of photos."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import compress, islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from retrieval.catalog.catalog import Catalog
from retrieval.catalog.records import KnownPhoto, PhotoFile, Space, range_below, to_bytes
from retrieval.encode.protocol import Encoder
from retrieval.index.vectors import VectorFile
from retrieval.search.feed import Decoded, decoded_photos
from retrieval.search.scan import Scan, scan_folder
from retrieval.spec.errors import PhotoError

# A batch is what a kill can cost. Bigger ones are hardly faster on a CPU.
BATCH = 32
BATCHES_AHEAD = 3

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """How far an indexing run has come; what is done is committed."""

    done: int
    """Photos finished in this run, skipped ones among them."""
    total: int
    """Photos that this run has to read."""
    skipped: int


Progress = Callable[[IndexProgress], None]


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What one run found and did."""

    added: int
    """New photos, and known ones that this model had not seen."""
    changed: int
    removed: int
    unchanged: int
    skipped: list[tuple[Path, str]]
    """Every file of the folder that cannot be searched, and why; earlier finds included."""
    seconds: float

    @property
    def photos(self) -> int:
        """Photos of the folder that can be searched now."""
        return self.added + self.changed + self.unchanged


@dataclass(slots=True)
class _Plan:
    encode: list[PhotoFile] = field(default_factory=list)
    changed: set[Path] = field(default_factory=set)
    restore: list[int] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    unchanged: int = 0


def index_folder(
    folder: Path,
    *,
    catalog: Catalog,
    space: Space,
    vectors: VectorFile,
    encoder: Encoder,
    progress: Progress | None = None,
) -> IndexReport:
    """Embed what is new or changed below ``folder`` and forget what vanished.

    Each batch is committed when it is finished, so an interrupted run loses at most the
    batch at hand, and the next run goes on from there.

    Args:
        folder: As `resolved_folder` gives it.
        catalog: Where the outcome is recorded.
        space: The encoder's embedding space.
        vectors: The space's vectors on disk.
        encoder: Embeds the photos.
        progress: Called before the first photo and after each committed batch, if any
            photo has to be read.

    Raises:
        PhotoError: The folder holds no photos and never did.
        CatalogError: The catalog is locked or damaged, or the disk is full.
        OSError: The vectors cannot be written, for instance because the disk is full.
    """
    started = time.perf_counter()
    scan = scan_folder(folder)
    known = catalog.known_photos(folder, space)
    if not scan.files and not known:
        raise PhotoError(_nothing_found(folder, scan))
    plan = _plan(scan, known)
    with catalog.writing():
        catalog.restore(plan.restore)
        catalog.mark_gone(plan.gone)
    added = changed = skipped = done = 0
    if plan.encode and progress is not None:
        progress(IndexProgress(0, len(plan.encode), 0))
    stream = decoded_photos(plan.encode, encoder.preprocessing, ahead=BATCH * BATCHES_AHEAD)
    with closing(stream):
        for batch in _batches(stream):
            finished = _commit(batch, catalog, space, vectors, encoder)
            changed += sum(file.path in plan.changed for file in finished)
            added += sum(file.path not in plan.changed for file in finished)
            skipped += len(batch) - len(finished)
            done += len(batch)
            if progress is not None:
                progress(IndexProgress(done, len(plan.encode), skipped))
    catalog.record_root(folder)
    catalog.mark_if_whole(space)
    return IndexReport(
        added=added,
        changed=changed,
        removed=len(plan.gone),
        unchanged=plan.unchanged,
        skipped=scan.unreadable + catalog.skipped(folder),
        seconds=time.perf_counter() - started,
    )


def _plan(scan: Scan, known: dict[bytes, KnownPhoto]) -> _Plan:
    plan = _Plan()
    for file in scan.files:
        photo = known.pop(to_bytes(file.path), None)
        if photo is None:
            plan.encode.append(file)
        elif not photo.is_same_as(file):
            plan.encode.append(file)
            plan.changed.add(file.path)
        else:
            if photo.gone:
                plan.restore.append(photo.id)
            if photo.has_vector:
                plan.unchanged += 1
            elif photo.state != "damaged":
                plan.encode.append(file)
    hidden = [range_below(path) for path, _ in scan.unreadable]
    names = {to_bytes(path) for path, _ in scan.unreadable}
    for path, photo in known.items():
        # What cannot be looked at has not vanished: a folder may be locked for a while.
        out_of_sight = path in names or any(low <= path < high for low, high in hidden)
        if not photo.gone and not out_of_sight:
            plan.gone.append(photo.id)
    return plan


def _commit(
    batch: list[Decoded], catalog: Catalog, space: Space, vectors: VectorFile, encoder: Encoder
) -> list[PhotoFile]:
    """Embed and record one batch, all of it or nothing; returns the photos with a vector."""
    files = [item.file for item in batch if item.pixels is not None]
    pixels = [item.pixels for item in batch if item.pixels is not None]
    embeddings = np.empty((0, space.dim), np.float32)
    if pixels:
        embeddings = encoder.encode_pixels(np.stack(pixels))
    usable = [bool(np.isfinite(vector).all()) for vector in embeddings]
    finished = list(compress(files, usable))
    with catalog.writing():
        first = catalog.row_count(space)
        if finished:
            vectors.append(embeddings[usable], at=first)
        for row, file in enumerate(finished, start=first):
            catalog.record_photo(file, space, row)
        for file in set(files).difference(finished):
            why = f"{space.model} returned no finite embedding for it"
            catalog.record_skipped(file, why, "unreadable")
        for item in batch:
            if item.why is not None:
                catalog.record_skipped(item.file, item.why, item.state)
    return finished


def _batches(stream: Iterable[Decoded]) -> Iterator[list[Decoded]]:
    iterator = iter(stream)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def _nothing_found(folder: Path, scan: Scan) -> str:
    if scan.unreadable:
        path, why = scan.unreadable[0]
        return f"no photos in {folder}: {path} cannot be read ({why})"
    return f"no photos in {folder}; name the folder that holds your photos"

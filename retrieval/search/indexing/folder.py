"""Bringing the catalog up to date with a folder of photos."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from retrieval.catalog.catalog import Catalog
from retrieval.catalog.records import KnownPhoto, PhotoFile, Space, to_bytes
from retrieval.encode.protocol import Encoder
from retrieval.index.vectors import VectorFile
from retrieval.search.companions import without_companions
from retrieval.search.indexing.plan import Plan, planned
from retrieval.search.indexing.report import IndexReport, Progress
from retrieval.search.indexing.roots import Root
from retrieval.search.indexing.run import Run
from retrieval.search.scan import Scan, scan_folder
from retrieval.spec.errors import PhotoError

# A folder that held so many photos and is empty now is rather a drive that is not there.
SUSPICIOUS = 100


def index_folder(
    folder: Path,
    root: Root,
    *,
    catalog: Catalog,
    space: Space,
    vectors_of: Callable[[Space], VectorFile],
    encoder: Encoder,
    progress: Progress | None = None,
    only: Sequence[Path] | None = None,
    force: bool = False,
) -> IndexReport:
    """Embed what is new or changed below ``folder`` and forget what vanished.

    Each batch is committed when it is finished, so an interrupted run loses at most the
    batches at hand, and the next run goes on from there. Photos of known content, under
    another name or copied, are hashed but not encoded.

    Args:
        folder: As `resolved_folder` gives it.
        root: The indexed folder that it is or lies in, and its rules.
        catalog: Where the outcome is recorded.
        space: The encoder's embedding space.
        vectors_of: The vectors of a space on disk.
        encoder: Embeds the photos.
        progress: Called before the first photo and after each committed batch, if any
            photo has to be read.
        only: Look only at these files and folders below ``folder``, which need not exist.
        force: Believe that a folder is empty although it held many photos.

    Raises:
        PhotoError: The folder holds no photos and never did, or held many and is empty.
        CatalogError: The catalog is locked or damaged, or the disk is full.
        OSError: The vectors cannot be written, for instance because the disk is full.
    """
    started = time.perf_counter()
    root.rules.check()
    scan, known, companions = _looked_at(only or [folder], root, catalog, space)
    if not scan.files and only is None:
        _check_empty(folder, scan, known, force=force)
    plan = planned(scan, known)
    catalog.record_root(root.path, root.rules.model_dump_json(exclude_defaults=True))
    run = Run(plan, catalog=catalog, encoder=encoder, vectors_of=vectors_of, progress=progress)
    run.execute()
    if folder == root.path and only is None:
        catalog.mark_root_read(folder)
    catalog.mark_if_whole(run.space())
    skipped = scan.unreadable + catalog.skipped(folder)
    return replace(_report(plan, run, skipped, started), companions=companions)


def _looked_at(
    places: Sequence[Path], root: Root, catalog: Catalog, space: Space
) -> tuple[Scan, dict[bytes, KnownPhoto], int]:
    """What lies there, what is known of it, and how many files a photo stands for."""
    scan = scan_folder(root.path, root.rules, only=places)
    known: dict[bytes, KnownPhoto] = {}
    for place in scan.places:
        known.update(catalog.known_photos(place, space))
    if root.rules.companions:
        return scan, known, 0

    def is_damaged(file: PhotoFile) -> bool:
        photo = known.get(to_bytes(file.path))
        return photo is not None and photo.state == "damaged" and photo.is_same_as(file)

    files = without_companions(scan.files, is_damaged)
    return replace(scan, files=files), known, len(scan.files) - len(files)


def _check_empty(folder: Path, scan: Scan, known: dict[bytes, KnownPhoto], *, force: bool) -> None:
    if scan.unreadable and not known:
        path, why = scan.unreadable[0]
        raise PhotoError(f"no photos in {folder}: {path} cannot be read ({why})")
    if not known:
        raise PhotoError(f"no photos in {folder}; name the folder that holds your photos")
    present = sum(not photo.gone for photo in known.values())
    if present >= SUSPICIOUS and not scan.unreadable and not force:
        raise PhotoError(
            f"{folder} is empty, but {present:,} photos were indexed there: is its drive "
            "connected? Nothing was changed; if they are gone for good, run leanclip index "
            f"--force {folder}"
        )


def _report(plan: Plan, run: Run, skipped: list[tuple[Path, str]], started: float) -> IndexReport:
    tally = run.tally
    return IndexReport(
        added=tally.added,
        changed=tally.changed,
        removed=len(set(plan.gone) - tally.moved_ids),
        unchanged=plan.unchanged + tally.same,
        skipped=skipped,
        seconds=time.perf_counter() - started,
        moved=tally.moved,
        reused=tally.reused,
    )

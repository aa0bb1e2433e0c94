"""Compaction: what no search may return any more is dropped from disk."""

from dataclasses import dataclass
from pathlib import Path

from retrieval.catalog.catalog import Catalog
from retrieval.catalog.records import Space
from retrieval.catalog.upkeep import forget_vanished, live_rows, successor
from retrieval.search.upkeep.files import orphans, vector_file
from retrieval.spec.files import size_of

# Rows copied at a time: some tens of megabytes.
_BLOCK = 32_768


@dataclass(frozen=True, slots=True)
class VacuumReport:
    """What compaction dropped."""

    vanished: int
    """Photos whose files are gone; if they come back, they are new."""
    rows: int
    """Vectors of photos that changed, vanished or were forgotten."""
    bytes_before: int
    bytes_after: int

    @property
    def bytes_won(self) -> int:
        """Space that is free now."""
        return self.bytes_before - self.bytes_after


def vacuum(home: Path, catalog: Catalog) -> VacuumReport:
    """Drop vanished photos and dead vectors, and shrink the catalog.

    Living vectors are copied to new files beside the old ones; the catalog switches to all of
    them in one transaction, after they are safe on disk. A kill before it leaves the library
    as it was, a kill after it leaves files that nothing refers to, which the next run
    removes. Approximate indexes are of the old rows and have to be built again.

    Raises:
        CatalogError: The catalog is locked or damaged, or vectors are missing.
        OSError: The disk is full; the library is as it was.
    """
    before = size_of(home)
    try:
        with catalog.writing():
            vanished = forget_vanished(catalog)
            spaces = [count.space for count in catalog.spaces()]
            rows = sum(_compact(space, home, catalog) for space in spaces)
    finally:
        # Either the old files or the new ones, whichever the catalog does not know.
        for path in orphans(home, catalog):
            path.unlink(missing_ok=True)
    catalog.shrink()
    return VacuumReport(vanished, rows, before, size_of(home))


def _compact(space: Space, home: Path, catalog: Catalog) -> int:
    count = catalog.row_count(space)
    living = live_rows(catalog, space)
    if len(living) == count:
        return 0
    old = vector_file(home, space).read(count)
    new = vector_file(home, successor(catalog, space))
    for start in range(0, len(living), _BLOCK):
        new.append(old[living[start : start + _BLOCK]], at=start)
    return count - len(living)

"""What may be wrong with a library whose catalog can be read, and how it is mended."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval.catalog import upkeep
from retrieval.catalog.catalog import Catalog, Rows
from retrieval.catalog.records import Space
from retrieval.search.upkeep.files import orphans, rows_held, vector_file

_BLOCK = 32_768
# Rounding to fp16 changes the length of a vector by less than a thousandth.
_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    text: str
    """What was found, for people."""
    sound: bool
    mended: bool = False

    @property
    def left(self) -> bool:
        """Whether something is still wrong."""
        return not (self.sound or self.mended)


def findings(home: Path, catalog: Catalog, *, repair: bool) -> Iterator[Finding]:
    """Check vectors and catalog against each other.

    Args:
        home: Folder of the library.
        catalog: Its catalog, which can be read.
        repair: Mend what is found. Photos whose vectors are lost are left to indexing.

    Raises:
        CatalogError: The catalog is locked or damaged.
        OSError: The vectors cannot be read.
    """
    with catalog.writing() if repair else nullcontext():
        for count in catalog.spaces():
            yield _length(home, catalog, count.space, repair)
            yield _numbers(home, catalog, count.space, repair)
        yield _owners(catalog, repair)
        yield _visibility(catalog, repair)
    yield _orphans(home, catalog, repair)


def _length(home: Path, catalog: Catalog, space: Space, repair: bool) -> Finding:
    held, counted = rows_held(home, space), catalog.row_count(space)
    if held >= counted:
        return Finding(f"vectors of {space.model}: {counted:,}, all on disk", sound=True)
    if repair:
        upkeep.cut_rows(catalog, space, held)
    text = f"vectors of {space.model}: {counted - held:,} of {counted:,} are missing on disk"
    return Finding(text, sound=False, mended=repair)


def _numbers(home: Path, catalog: Catalog, space: Space, repair: bool) -> Finding:
    wrong = _wrong_rows(home, catalog, space)
    if not len(wrong):
        return Finding(f"vectors of {space.model}: all of length one", sound=True)
    if repair:
        upkeep.bury_rows(catalog, space, wrong)
    text = f"vectors of {space.model}: {len(wrong):,} are not of length one"
    return Finding(text, sound=False, mended=repair)


def _wrong_rows(home: Path, catalog: Catalog, space: Space) -> Rows:
    living = upkeep.live_rows(catalog, space)
    held = min(rows_held(home, space), catalog.row_count(space))
    vectors = vector_file(home, space).read(held)
    living = living[living < len(vectors)]
    wrong = []
    for start in range(0, len(living), _BLOCK):
        rows = living[start : start + _BLOCK]
        lengths = np.linalg.norm(vectors[rows].astype(np.float32), axis=1)
        # Not "far from one", which is false for what is no number.
        wrong.append(rows[~(np.abs(lengths - 1) <= _TOLERANCE)])
    return np.concatenate(wrong) if wrong else living


def _owners(catalog: Catalog, repair: bool) -> Finding:
    count = upkeep.rows_of_no_photo(catalog)
    if not count:
        return Finding("every vector belongs to a photo", sound=True)
    if repair:
        upkeep.bury_rows_of_no_photo(catalog)
    return Finding(f"{count:,} vectors belong to no photo", sound=False, mended=repair)


def _visibility(catalog: Catalog, repair: bool) -> Finding:
    count = upkeep.rows_wrongly_shown(catalog)
    if not count:
        return Finding("present photos are shown, vanished ones are not", sound=True)
    if repair:
        upkeep.show_rightly(catalog)
    text = f"{count:,} vectors are shown although their photo vanished, or the reverse"
    return Finding(text, sound=False, mended=repair)


def _orphans(home: Path, catalog: Catalog, repair: bool) -> Finding:
    found = orphans(home, catalog)
    if not found:
        return Finding("no files that nothing refers to", sound=True)
    if repair:
        for path in found:
            path.unlink(missing_ok=True)
    names = ", ".join(path.name for path in found)
    return Finding(f"nothing refers to {names}", sound=False, mended=repair)

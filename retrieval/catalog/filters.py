"""Which photos may be found: what is asked of them besides what they show."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval.catalog.catalog import Catalog, Rows
from retrieval.catalog.records import Space, range_below, to_path

# Photos that carry no date, such as screenshots, are dated by their file. The catalog keeps
# wall-clock seconds, so the file's time is taken as the wall clock of this machine.
DATED = "coalesce(taken_at, unixepoch(mtime_ns / 1000000000, 'unixepoch', 'localtime'))"
"""When a photo was taken, for statements about the table ``photos``."""


@dataclass(frozen=True, slots=True)
class GeoBox:
    """A part of the globe between two latitudes and two longitudes, in degrees."""

    south: float
    west: float
    north: float
    east: float
    """Less than ``west`` when the box crosses the date line."""


@dataclass(frozen=True, slots=True)
class PhotoFilter:
    """What photos must fulfil, all of it; a field that is left out asks nothing."""

    folders: tuple[Path, ...] = ()
    """Below any of these, as `resolved_folder` gives them, or of `folder_names`."""
    folder_names: tuple[Path, ...] = ()
    """Names of folders that follow each other anywhere in the path, such as ``holiday/2020``;
    of plain letters, upper and lower case are alike."""
    after: int | None = None
    """Taken at this second or later; wall-clock seconds since 1970."""
    before: int | None = None
    """Taken earlier than this second."""
    suffixes: tuple[str, ...] = ()
    """Name ends in any of these, lower case with its dot."""
    camera: str | None = None
    """Part of maker and model, upper or lower case alike."""
    near: GeoBox | None = None

    def __bool__(self) -> bool:
        """Whether anything is asked."""
        return self != PhotoFilter()


def rows_matching(wanted: PhotoFilter, catalog: Catalog, space: Space) -> Rows:
    """Rows of ``space`` that a search may return and whose photos fulfil a filter."""
    matching, values = _matching([wanted], space)
    found = catalog.read(f"SELECT row {matching}", *values)
    return np.fromiter((row for (row,) in found), dtype=np.int64, count=len(found))


@dataclass(frozen=True, slots=True)
class DatedPhoto:
    """A photo in the order of time."""

    id: int
    path: Path
    taken_at: int
    """Wall-clock seconds since 1970; the file's time for a photo that carries no date."""


def newest_photos(
    filters: Sequence[PhotoFilter], catalog: Catalog, space: Space, *, top: int, skip: int = 0
) -> list[DatedPhoto]:
    """Photos of ``space`` that fulfil all filters, the newest first.

    Args:
        filters: What is asked.
        catalog: Which photos there are.
        space: Only photos that a search of this space may return.
        top: At most this many.
        skip: Leave out this many at the beginning.
    """
    matching, values = _matching(filters, space)
    found = catalog.read(
        f"SELECT photos.id, path, {DATED} {matching} GROUP BY photos.id "
        f"ORDER BY {DATED} DESC, photos.id DESC LIMIT ? OFFSET ?",
        *values,
        top,
        skip,
    )
    return [DatedPhoto(photo_id, to_path(path), date) for photo_id, path, date in found]


def count_photos(filters: Sequence[PhotoFilter], catalog: Catalog, space: Space) -> int:
    """How many photos of ``space`` a search may return and fulfil all filters."""
    matching, values = _matching(filters, space)
    return int(catalog.read(f"SELECT count(DISTINCT photos.id) {matching}", *values)[0][0])


def _matching(filters: Sequence[PhotoFilter], space: Space) -> tuple[str, list[object]]:
    """The end of a statement on photos and rows, and its values."""
    conditions = ["space_id = ?", "live = 1"]
    values: list[object] = [space.id]
    for wanted in filters:
        for condition, some in _conditions(wanted):
            conditions.append(condition)
            values += some
    joined = "FROM photos JOIN vectors ON photo_id = photos.id"
    return f"{joined} WHERE {' AND '.join(conditions)}", values


def _conditions(wanted: PhotoFilter) -> list[tuple[str, list[object]]]:
    conditions: list[tuple[str, list[object]]] = []
    if wanted.folders or wanted.folder_names:
        conditions.append(_in_any(wanted.folders, wanted.folder_names))
    if wanted.after is not None:
        conditions.append((f"{DATED} >= ?", [wanted.after]))
    if wanted.before is not None:
        conditions.append((f"{DATED} < ?", [wanted.before]))
    if wanted.suffixes:
        # Paths are bytes, which LIKE does not take; ASCII suffixes survive the cast.
        ends = [f"%{suffix}" for suffix in wanted.suffixes]
        conditions.append((_any_of("CAST(path AS TEXT) LIKE ?", len(ends)), [*ends]))
    if wanted.camera is not None:
        conditions.append(("instr(lower(camera), lower(?)) > 0", [wanted.camera]))
    if wanted.near is not None:
        conditions.append(_inside(wanted.near))
    return conditions


def _in_any(folders: Sequence[Path], names: Sequence[Path]) -> tuple[str, list[object]]:
    ranges = [bound for folder in folders for bound in range_below(folder)]
    within = [f"{os.sep}{name}{os.sep}" for name in names]
    conditions = ["(path >= ? AND path < ?)"] * len(folders)
    conditions += ["instr(lower(CAST(path AS TEXT)), lower(CAST(? AS TEXT))) > 0"] * len(names)
    return f"({' OR '.join(conditions)})", [*ranges, *(os.fsencode(name) for name in within)]


def _inside(box: GeoBox) -> tuple[str, list[object]]:
    across = "AND" if box.west <= box.east else "OR"
    return (
        f"latitude BETWEEN ? AND ? AND (longitude >= ? {across} longitude <= ?)",
        [box.south, box.north, box.west, box.east],
    )


def _any_of(condition: str, count: int) -> str:
    return "(" + " OR ".join([f"({condition})"] * count) + ")"

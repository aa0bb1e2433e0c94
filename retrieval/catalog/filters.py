"""Which photos may be found: what is asked of them besides what they show."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval.catalog.catalog import Catalog, Rows
from retrieval.catalog.records import Space, range_below

# Photos that carry no date, such as screenshots, are dated by their file. The catalog keeps
# wall-clock seconds, so the file's time is taken as the wall clock of this machine.
_DATE = "coalesce(taken_at, unixepoch(mtime_ns / 1000000000, 'unixepoch', 'localtime'))"


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
    """Below any of these, as `resolved_folder` gives them."""
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
    conditions = ["space_id = ?", "live = 1"]
    values: list[object] = [space.id]
    for condition, some in _conditions(wanted):
        conditions.append(condition)
        values += some
    found = catalog.read(
        "SELECT row FROM photos JOIN vectors ON photo_id = photos.id "
        f"WHERE {' AND '.join(conditions)}",
        *values,
    )
    return np.fromiter((row for (row,) in found), dtype=np.int64, count=len(found))


def _conditions(wanted: PhotoFilter) -> list[tuple[str, list[object]]]:
    conditions: list[tuple[str, list[object]]] = []
    if wanted.folders:
        ranges = [bound for folder in wanted.folders for bound in range_below(folder)]
        conditions.append((_any_of("path >= ? AND path < ?", len(wanted.folders)), [*ranges]))
    if wanted.after is not None:
        conditions.append((f"{_DATE} >= ?", [wanted.after]))
    if wanted.before is not None:
        conditions.append((f"{_DATE} < ?", [wanted.before]))
    if wanted.suffixes:
        # Paths are bytes, which LIKE does not take; ASCII suffixes survive the cast.
        ends = [f"%{suffix}" for suffix in wanted.suffixes]
        conditions.append((_any_of("CAST(path AS TEXT) LIKE ?", len(ends)), [*ends]))
    if wanted.camera is not None:
        conditions.append(("instr(lower(camera), lower(?)) > 0", [wanted.camera]))
    if wanted.near is not None:
        conditions.append(_inside(wanted.near))
    return conditions


def _inside(box: GeoBox) -> tuple[str, list[object]]:
    across = "AND" if box.west <= box.east else "OR"
    return (
        f"latitude BETWEEN ? AND ? AND (longitude >= ? {across} longitude <= ?)",
        [box.south, box.north, box.west, box.east],
    )


def _any_of(condition: str, count: int) -> str:
    return "(" + " OR ".join([f"({condition})"] * count) + ")"

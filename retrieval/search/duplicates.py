"""Photos that are there more than once: the same file, or nearly the same picture."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from retrieval.catalog.catalog import Catalog
from retrieval.catalog.records import Space, to_path
from retrieval.index.components import Advance, near_components
from retrieval.index.protocol import RowMask, Vectors
from retrieval.search.hit import Hit, Hits
from retrieval.search.likeness import normalised
from retrieval.search.ranking import is_there
from retrieval.spec.defaults import NEAR_DUPLICATE


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Groups of photos; within one, the photo most worth keeping comes first."""

    exact: list[Hits]
    """Files with the same content, byte for byte."""
    near: list[Hits]
    """Different files that look the same. Of files with the same content, one is here."""


@dataclass(frozen=True, slots=True)
class _Photo:
    id: int
    path: Path
    content: bytes | None
    pixels: int
    size: int
    row: int
    moment_ms: int | None

    @property
    def worth(self) -> tuple[int, int, int]:
        """More pixels first, then more bytes, then what was there earlier."""
        return (-self.pixels, -self.size, self.id)


def find_duplicates(
    catalog: Catalog,
    space: Space,
    vectors: Vectors,
    allowed: RowMask,
    *,
    threshold: float = NEAR_DUPLICATE,
    advance: Advance | None = None,
) -> Duplicates:
    """Group photos of the same content, and of nearly the same looks.

    Videos are compared by content only. Files that were deleted are left out.

    Args:
        catalog: Which photos there are.
        space: Whose vectors.
        vectors: All rows of the space.
        allowed: ``(rows,)``: which rows count.
        threshold: Lowest cosine of two photos that are nearly the same.
        advance: Told how far the comparison has come.
    """
    photos = [p for p in _photos(catalog, space, len(allowed)) if allowed[p.row]]
    by_content: dict[bytes, list[_Photo]] = defaultdict(list)
    for photo in photos:
        if photo.content is not None:
            by_content[photo.content].append(photo)
    exact = [group for group in map(_present, by_content.values()) if len(group) > 1]
    copies = {photo.id for group in exact for photo in group[1:]}
    rest = [photo for photo in photos if photo.moment_ms is None and photo.id not in copies]
    near = [group for group in map(_present, _near(rest, vectors, threshold, advance)) if group[1:]]
    return Duplicates(_as_hits(exact, vectors), _as_hits(near, vectors))


def _photos(catalog: Catalog, space: Space, rows: int) -> Iterable[_Photo]:
    found = catalog.read(
        "SELECT photos.id, path, content_sha256, coalesce(width * height, 0), size, row, "
        "moment_ms FROM photos JOIN vectors ON photo_id = photos.id "
        "WHERE space_id = ? AND live = 1 AND row < ? ORDER BY photos.id, row",
        space.id,
        rows,
    )
    for _, moments in groupby(found, key=lambda record: record[0]):
        photo_id, path, *rest = next(moments)
        yield _Photo(photo_id, to_path(path), *rest)


def _near(
    photos: Sequence[_Photo], vectors: Vectors, threshold: float, advance: Advance | None
) -> Iterable[list[_Photo]]:
    firsts = near_components(vectors[[p.row for p in photos]], threshold, advance)
    order = np.argsort(firsts, kind="stable").tolist()
    for _, group in groupby(order, key=lambda place: int(firsts[place])):
        yield [photos[place] for place in group]


def _present(group: list[_Photo]) -> list[_Photo]:
    # Looking at the disk is slow: only for photos that have company.
    if len(group) < 2:
        return group
    return sorted((p for p in group if is_there(p.path)), key=lambda photo: photo.worth)


def _as_hits(groups: list[list[_Photo]], vectors: Vectors) -> list[Hits]:
    """Groups of photos, each scored against the first of its group."""
    result = []
    for group in sorted(groups, key=lambda group: group[0].id):
        looks = normalised(vectors[[photo.row for photo in group]])
        scores = np.minimum(looks @ looks[0], 1.0).tolist()
        pairs = zip(group, scores, strict=True)
        result.append(Hits(Hit(p.path, score, p.id, p.moment_ms) for p, score in pairs))
    return result

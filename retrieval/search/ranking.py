"""Which photos lie nearest to a query, each photo once."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval.catalog.catalog import Catalog
from retrieval.catalog.filters import PhotoFilter, newest_photos
from retrieval.catalog.records import Space
from retrieval.encode.protocol import Embeddings
from retrieval.index.protocol import RowMask, VectorIndex, Vectors
from retrieval.search.hit import Hit, Hits

# The mean of a thousand scores is within a thirtieth of their spread.
_SAMPLED_ROWS = 4096


@dataclass(frozen=True, slots=True)
class View:
    """What one search sees of an embedding space."""

    catalog: Catalog
    space: Space
    index: VectorIndex
    vectors: Vectors
    allowed: RowMask
    """``(rows,)``: which rows may be found."""


def nearest_photos(view: View, queries: Embeddings, top: int, cut: float | None = None) -> Hits:
    """The photos that come nearest to any of the queries, the nearest first.

    A video has several rows; the best of them stands for it. A file that was deleted since
    the last indexing does not show; others take its place.

    Args:
        view: Where to look.
        queries: ``(queries, dim)``, vectors of length one.
        top: At most this many photos.
        cut: Leave out photos whose score is less than this share of the way from the typical
            score, which is the mean over the photos looked at, to the best one.
    """
    candidates = int(view.allowed.sum())
    asked, seen = min(top, candidates), 0
    hits = Hits()
    while candidates:
        scores = _best_scores(view, queries, asked)
        hits = _present_photos(view, scores)
        # An approximate index may run out of rows before it has returned all of them.
        if len(hits) >= top or asked >= candidates or len(scores) <= seen:
            break
        asked, seen = min(2 * asked, candidates), len(scores)
    hits = Hits(sorted(hits, key=_rank)[:top])
    if cut is None or not hits:
        return hits
    best = hits[0].score or 0.0
    lowest = best - (1 - cut) * (best - _typical_score(view, queries))
    # Rounding must not cost the best photo its place.
    return Hits(hit for hit in hits if (hit.score or 0.0) >= min(lowest, best))


def photos_by_date(filters: list[PhotoFilter], catalog: Catalog, space: Space, top: int) -> Hits:
    """The newest photos that fulfil all filters; deleted files do not show."""
    hits = Hits()
    skip = 0
    while len(hits) < top:
        found = newest_photos(filters, catalog, space, top=top, skip=skip)
        hits += [
            Hit(photo.path, None, photo.id, taken_at=photo.taken_at)
            for photo in found
            if is_there(photo.path)
        ]
        if len(found) < top:
            break
        skip += top
    return Hits(hits[:top])


def is_there(path: Path) -> bool:
    """Whether a file still exists."""
    try:
        path.stat()
    except OSError:
        return False
    return True


def _best_scores(view: View, queries: Embeddings, asked: int) -> dict[int, float]:
    matches = view.index.search(queries, asked, allowed=view.allowed)
    scores: dict[int, float] = {}
    found = zip(matches.rows.ravel().tolist(), matches.scores.ravel().tolist(), strict=True)
    for row, score in found:
        if row >= 0:
            scores[row] = max(score, scores.get(row, score))
    return scores


def _present_photos(view: View, scores: dict[int, float]) -> Hits:
    found = view.catalog.photos_at(list(scores), view.space)
    best: dict[int, Hit] = {}
    for row, photo in found.items():
        hit = Hit(photo.path, _cosine(scores[row]), photo.id, photo.moment_ms)
        if photo.id not in best or _rank(hit) < _rank(best[photo.id]):
            best[photo.id] = hit
    return Hits(hit for hit in best.values() if is_there(hit.path))


def _typical_score(view: View, queries: Embeddings) -> float:
    rows = np.flatnonzero(view.allowed)
    step = -(-len(rows) // _SAMPLED_ROWS)
    sample = view.vectors[rows[::step]].astype(np.float32)
    return float((sample @ queries.T).max(axis=1).mean())


def _cosine(product: float) -> float:
    # Vectors rounded to fp16 are a little longer or shorter than one.
    return max(-1.0, min(1.0, product))


def _rank(hit: Hit) -> tuple[float, int, int]:
    # Equal scores keep the order in which the photos were first seen.
    return (-(hit.score or 0.0), hit.photo_id, hit.moment_ms or 0)

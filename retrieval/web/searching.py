"""Pages of answers: the best photos for a query, or all photos by date."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.catalog.filters import DATED, newest_photos
from retrieval.search.hit import Hit
from retrieval.search.library import Library
from retrieval.web.asking import Asked
from retrieval.web.photos import CataloguedPhoto, photos_by_id

DEEPEST = 2000
"""Places of a search that can be paged through; what follows has little to do with it."""
_KEPT = 32


@dataclass(frozen=True, slots=True)
class Found:
    """A photo in an answer."""

    photo: CataloguedPhoto
    score: float | None
    """Cosine of query and photo; None where photos are not compared."""
    moment_ms: int | None


@dataclass(frozen=True, slots=True)
class Page:
    """Part of an answer."""

    photos: list[Found]
    next: int | None
    """Where the next page begins; None after the last."""
    total: int | None
    """How many photos match; None for a search, which orders all of them."""


@dataclass(frozen=True, slots=True)
class _Place:
    photo_id: int
    score: float | None = None
    moment_ms: int | None = None


@dataclass(slots=True)
class _Ranking:
    """The first places of an answer, and the state of the catalog that it was made from."""

    places: Sequence[_Place]
    version: int
    is_whole: bool


class Searcher:
    """Answers questions to one library; for use from the thread that owns the library.

    The first places of the last few questions are kept, so that each further page of an
    answer costs no search, and so that its order does not change while photos are added.
    """

    def __init__(self, library: Library) -> None:
        self.library = library
        self._kept: OrderedDict[Asked, _Ranking] = OrderedDict()
        self._dates: tuple[int, NDArray[np.int64]] | None = None
        self._count: tuple[int, int] | None = None

    def close(self) -> None:
        """Release the library."""
        self.library.close()

    def page(self, asked: Asked, *, offset: int, limit: int) -> Page:
        """Photos from place ``offset`` on, ``limit`` of them or a few less.

        Those whose files are gone are left out.

        Raises:
            QueryError: The sentence has no words that the model can read.
            CatalogError: The catalog cannot be read, or holds vectors of another model only.
        """
        end = offset + limit if asked.is_browsing else min(offset + limit, DEEPEST)
        ranking = self._ranking(asked, offset, end)
        places = ranking.places[offset:end]
        known = photos_by_id(self.library.catalog, [place.photo_id for place in places])
        found = [
            Found(known[place.photo_id], place.score, place.moment_ms)
            for place in places
            if place.photo_id in known and known[place.photo_id].is_there()
        ]
        more = len(ranking.places) > end or not ranking.is_whole
        return Page(
            photos=found,
            next=end if more and (asked.is_browsing or end < DEEPEST) else None,
            total=len(ranking.places) if asked.is_browsing else None,
        )

    def count(self) -> int:
        """How many photos can be found."""
        version = self._version()
        if self._count is None or self._count[0] != version:
            self._count = (version, self.library.count())
        return self._count[1]

    def _ranking(self, asked: Asked, offset: int, end: int) -> _Ranking:
        version = self._version()
        kept = self._kept.get(asked)
        fresh = kept is not None and (offset > 0 or kept.version == version)
        if kept is None or not fresh or (len(kept.places) < end and not kept.is_whole):
            kept = (
                self._browse(asked, version)
                if asked.is_browsing
                else self._search(asked, end, version)
            )
            self._kept[asked] = kept
        self._kept.move_to_end(asked)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return kept

    def _search(self, asked: Asked, end: int, version: int) -> _Ranking:
        if not self.count():
            return _Ranking((), version, is_whole=True)
        # Deeper pages of one answer are seldom the last; twice as many cost hardly more.
        wanted = end if asked not in self._kept else min(2 * end, DEEPEST)
        hits = self._hits(asked, wanted)
        places = [_Place(hit.photo_id, hit.score, hit.moment_ms) for hit in hits]
        return _Ranking(places, version, is_whole=len(hits) < wanted)

    def _hits(self, asked: Asked, top: int) -> Sequence[Hit]:
        if asked.like is None:
            return self.library.search(asked.query, top=top)
        # By its vectors, which are there already.
        return self.library.similar(asked.like, top=top, filter=asked.query.filter)

    def _browse(self, asked: Asked, version: int) -> _Ranking:
        catalog = self.library.catalog
        space = catalog.space(self.library.encoder.fingerprint)
        if space is None:
            return _Ranking((), version, is_whole=True)
        if not asked.query.filter:
            return _Ranking(_Places(self._by_date(version)), version, is_whole=True)
        found = newest_photos([asked.query.filter], catalog, space, top=self.count())
        ids = np.fromiter((photo.id for photo in found), np.int64, len(found))
        return _Ranking(_Places(ids), version, is_whole=True)

    def _by_date(self, version: int) -> NDArray[np.int64]:
        """Ids of all photos that can be found, the newest first."""
        if self._dates is None or self._dates[0] != version:
            found = self.library.catalog.read(
                # Not by EXISTS: SQLite would look through all vectors for each photo.
                "SELECT id FROM photos WHERE id IN (SELECT photo_id FROM vectors "
                "WHERE live = 1 AND space_id = (SELECT id FROM spaces WHERE fingerprint = ?)) "
                f"ORDER BY {DATED} DESC, id DESC",
                self.library.encoder.fingerprint,
            )
            ids = np.fromiter((id for (id,) in found), np.int64, len(found))
            self._dates = (version, ids)
        return self._dates[1]

    def _version(self) -> int:
        # Changes when another connection has committed something.
        return int(self.library.catalog.read("PRAGMA data_version")[0][0])


class _Places(Sequence[_Place]):
    """Places of photos by date: a million of them as one array."""

    def __init__(self, ids: NDArray[np.int64]) -> None:
        self._ids = ids

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, key):  # type: ignore[no-untyped-def]
        if isinstance(key, slice):
            return [_Place(int(photo_id)) for photo_id in self._ids[key]]
        return _Place(int(self._ids[key]))

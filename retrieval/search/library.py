"""A person's photos and one model: keep them indexed, and search them."""

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from retrieval.catalog.catalog import CATALOG_FILE, Catalog
from retrieval.catalog.filters import PhotoFilter, rows_matching
from retrieval.catalog.records import Space
from retrieval.encode.protocol import Embeddings, Encoder
from retrieval.index.exact import ExactIndex
from retrieval.index.protocol import RowMask, VectorIndex
from retrieval.index.vectors import VectorFile
from retrieval.search.hit import Hit
from retrieval.search.indexing import IndexReport, Progress, index_folder
from retrieval.search.query.embed import embed_query
from retrieval.search.query.parse import parse_query
from retrieval.search.query.parts import Query
from retrieval.search.scan import resolved_folder
from retrieval.spec.errors import CatalogError, QueryError


class Library:
    """The photos of one home folder, seen through one encoder.

    Example:
        with Library.open(home, open_encoder("default")) as library:
            library.ensure_index(Path("~/Pictures"))
            for hit in library.search("two dogs running in snow", top=5):
                print(hit.score, hit.path)
    """

    def __init__(self, home: Path, catalog: Catalog, encoder: Encoder, source: str | None) -> None:
        self.catalog = catalog
        self.encoder = encoder
        self._home = home
        self._source = source
        self._index: VectorIndex | None = None

    @classmethod
    def open(cls, home: Path, encoder: Encoder, *, source: str | None = None) -> Self:
        """Open the library in ``home``; make one when there is none.

        Args:
            home: Folder of the catalog and the vectors.
            encoder: The model to search and index with. Vectors of other models stay apart.
            source: What opens this encoder again, remembered for the next run.

        Raises:
            CatalogError: The catalog cannot be used; see `Catalog.open`.
        """
        return cls(home, Catalog.open(home / CATALOG_FILE), encoder, source)

    def close(self) -> None:
        """Release the catalog."""
        self.catalog.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ensure_index(self, folder: Path, *, progress: Progress | None = None) -> IndexReport:
        """Bring the index up to date with a folder; only new and changed photos are read.

        Raises:
            PhotoError: No such folder, or no photos in it.
            CatalogError: The catalog is locked or damaged.
            OSError: The disk is full.
        """
        folder = resolved_folder(folder)
        encoder = self.encoder
        space = self.catalog.ensure_space(
            encoder.fingerprint, encoder.name, self._source, encoder.dim
        )
        return index_folder(
            folder,
            catalog=self.catalog,
            space=space,
            vectors=self._vectors(space),
            encoder=encoder,
            progress=progress,
        )

    def search(self, query: str | Query, *, top: int = 10, folder: Path | None = None) -> list[Hit]:
        """The photos that fit a query best, best first; none when ``folder`` holds none.

        Args:
            query: A sentence, or the path of a photo to find similar ones.
            top: At most this many.
            folder: Only photos below this folder.

        Raises:
            QueryError: The query is empty.
            CatalogError: Nothing is indexed with this encoder.
            PhotoError: The photo to compare with, or the folder, cannot be read.
        """
        if top < 1:
            raise QueryError(f"cannot show the best {top} photos: ask for 1 or more")
        query = parse_query(query) if isinstance(query, str) else query
        space = self._indexed_space(folder)
        allowed = self._allowed(space, query.filter, _below(folder))
        if not allowed.any():
            return []
        return self._nearest(embed_query(query, self.encoder), space, allowed, top)

    def count(self, folder: Path | None = None) -> int:
        """How many photos a search can return; 0 when nothing is indexed yet."""
        space = self.catalog.space(self.encoder.fingerprint)
        return 0 if space is None else int(self._allowed(space, _below(folder)).sum())

    def _nearest(self, query: Embeddings, space: Space, allowed: RowMask, top: int) -> list[Hit]:
        index = self._index_of(space, len(allowed))
        candidates = int(allowed.sum())
        asked = top
        while True:
            matches = index.search(query, asked, allowed=allowed)
            scores = dict(zip(matches.rows[0].tolist(), matches.scores[0].tolist(), strict=True))
            found = self.catalog.photos_at([row for row in scores if row >= 0], space)
            # A photo deleted since the last indexing must not show; others take its place.
            hits = [
                Hit(
                    path=found[row].path,
                    score=_cosine(score),
                    photo_id=found[row].id,
                    moment_ms=found[row].moment_ms,
                )
                for row, score in scores.items()
                if row in found and _is_there(found[row].path)
            ]
            if len(hits) >= top or asked >= candidates:
                return sorted(hits, key=_rank)[:top]
            asked *= 2

    def _allowed(self, space: Space, *filters: PhotoFilter) -> RowMask:
        rows = self.catalog.row_count(space)
        allowed = np.ones(rows, np.bool_)
        # Another process may have committed more rows since they were counted.
        excluded = self.catalog.excluded_rows(space)
        allowed[excluded[excluded < rows]] = False
        for wanted in filter(None, filters):
            matching = rows_matching(wanted, self.catalog, space)
            fulfils = np.zeros(rows, np.bool_)
            fulfils[matching[matching < rows]] = True
            allowed &= fulfils
        return allowed

    def _index_of(self, space: Space, rows: int) -> VectorIndex:
        if self._index is None or len(self._index) != rows:
            self._index = ExactIndex(self._vectors(space).read(rows))
        return self._index

    def _vectors(self, space: Space) -> VectorFile:
        return VectorFile(self._home / "vectors" / f"space-{space.id}.fp16", space.dim)

    def _indexed_space(self, folder: Path | None) -> Space:
        space = self.catalog.space(self.encoder.fingerprint)
        if space is not None and (folder is not None or self.catalog.row_count(space)):
            return space
        serving = self.catalog.serving()
        if serving is None or not self.catalog.row_count(serving):
            raise CatalogError("nothing is indexed yet; run: leanclip index FOLDER")
        raise CatalogError(
            f"no photo is indexed with {self.encoder.name}: the catalog holds vectors of "
            f"{serving.model}, and vectors of two models cannot be compared; "
            "run leanclip index FOLDER with the model you want"
        )


def _below(folder: Path | None) -> PhotoFilter:
    return PhotoFilter() if folder is None else PhotoFilter(folders=(resolved_folder(folder),))


def _cosine(product: float) -> float:
    # Vectors rounded to fp16 are a little longer or shorter than one.
    return max(-1.0, min(1.0, product))


def _rank(hit: Hit) -> tuple[float, int]:
    # Equal scores keep the order in which the photos were first seen.
    return (-hit.score, hit.photo_id)


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except OSError:
        return False
    return True


def remembered_model(home: Path) -> str | None:
    """What opens the model that the library in ``home`` was last made whole with.

    None when there is no library yet, or when it was filled without saying by what.

    Raises:
        CatalogError: The catalog cannot be used; see `Catalog.open`.
    """
    if not (home / CATALOG_FILE).exists():
        return None
    with Catalog.open(home / CATALOG_FILE) as catalog:
        serving = catalog.serving()
    return None if serving is None else serving.source

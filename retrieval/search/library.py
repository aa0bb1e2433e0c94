"""A person's photos and one model: keep them indexed, and search them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from retrieval.catalog.catalog import CATALOG_FILE, Catalog
from retrieval.catalog.filters import PhotoFilter, count_photos
from retrieval.catalog.records import Space
from retrieval.encode.protocol import Encoder
from retrieval.index.exact import ExactIndex
from retrieval.index.protocol import VectorIndex
from retrieval.index.store import IndexStore
from retrieval.index.vectors import VectorFile
from retrieval.search.filtering import parse_filter
from retrieval.search.hit import Hits
from retrieval.search.indexing import IndexReport, Progress, index_folder
from retrieval.search.indexing.roots import root_of
from retrieval.search.masks import RowMasks
from retrieval.search.query.embed import embed_query
from retrieval.search.query.parse import parse_query
from retrieval.search.query.parts import Query
from retrieval.search.ranking import View, nearest_photos, photos_by_date
from retrieval.search.rules import ScanRules
from retrieval.search.scan import resolved_folder
from retrieval.search.upkeep.files import vector_file
from retrieval.spec.defaults import NEAR_DUPLICATE
from retrieval.spec.errors import CatalogError, QueryError

if TYPE_CHECKING:
    from retrieval.index.kinds import Kind
    from retrieval.index.store import Progress as BuildProgress
    from retrieval.index.tuning import Budget
    from retrieval.search.duplicates import Duplicates
    from retrieval.search.tuning import Tuning


class Library:
    """The photos of one home folder, seen through one encoder.

    A library belongs to the thread that opened it, as its catalog does; a program with several
    threads opens one in each. What they share is safe: the encoder, the files on disk, and
    photos that one of them indexes while others search.

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
        self._masks = RowMasks(catalog)
        self._index: VectorIndex | None = None
        self._indexed: tuple[int, int] | None = None

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

    def __exit__(self, *error: object) -> None:
        self.close()

    def ensure_index(
        self,
        folder: Path,
        *,
        progress: Progress | None = None,
        rules: ScanRules | None = None,
        only: Sequence[Path] | None = None,
        force: bool = False,
    ) -> IndexReport:
        """Bring the index up to date with a folder; only new and changed photos are read.

        Args:
            folder: The folder.
            progress: Told how far the run has come.
            rules: Which files to read, remembered for later runs; those remembered by default.
            only: Look only at these files and folders below it, which need not exist.
            force: Believe that the folder is empty although it held many photos.

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
            root_of(folder, self.catalog, rules),
            catalog=self.catalog,
            space=space,
            vectors_of=self._vectors,
            encoder=encoder,
            progress=progress,
            only=only,
            force=force,
        )

    def search(
        self,
        query: str | Query,
        *,
        top: int = 10,
        folder: Path | None = None,
        cut: float | None = None,
    ) -> Hits:
        """The photos that fit a query best, best first; none when ``folder`` holds none.

        A query of filters only lists photos by date, the newest first.

        Args:
            query: As `parse_query` takes it: a sentence, the path of a photo to find similar
                ones, several of them with ``+`` and ``-``, and filters.
            top: At most this many.
            folder: Only photos below this folder.
            cut: 0 to 1: leave out photos that come less than this share of the way from the
                typical score of the query to the best one; None leaves out none.

        Raises:
            QueryError: The query is empty or cannot be understood.
            CatalogError: Nothing is indexed with this encoder.
            PhotoError: The photo to compare with, or the folder, cannot be read.
        """
        _check(top, cut)
        query = parse_query(query) if isinstance(query, str) else query
        space = self._indexed_space(folder)
        if not query.terms:
            return photos_by_date([query.filter, _below(folder)], self.catalog, space, top)
        view = self._view(space, query.filter, _below(folder))
        if not view.allowed.any():
            return Hits()
        return nearest_photos(view, embed_query(query, self.encoder), top, cut)

    def similar(
        self,
        photo: Path | int,
        *,
        top: int = 10,
        folder: Path | None = None,
        filter: str | PhotoFilter = "",
        cut: float | None = None,
    ) -> Hits:
        """Photos that look like one, best first, without the photo itself and its copies.

        Args:
            photo: A file, indexed or not, or the id of an indexed photo.
            top: At most this many.
            folder: Only photos below this folder.
            filter: Only photos that fulfil it, as in a query: ``after:2023 in:holiday``.
            cut: As for `search`.

        Raises:
            QueryError: The filter cannot be understood.
            PhotoError: There is no such photo, or it or the folder cannot be read.
            CatalogError: Nothing is indexed with this encoder.
        """
        from retrieval.search.likeness import likeness_of

        _check(top, cut)
        wanted = parse_filter(filter) if isinstance(filter, str) else filter
        space = self._indexed_space(folder)
        view = self._view(space, wanted, _below(folder))
        likeness = likeness_of(photo, self.catalog, space, view.vectors, self.encoder)
        view.allowed[likeness.own_rows[likeness.own_rows < len(view.allowed)]] = False
        return nearest_photos(view, likeness.queries, top, cut)

    def duplicates(
        self,
        folder: Path | None = None,
        *,
        threshold: float = NEAR_DUPLICATE,
        advance: Callable[[int, int], None] | None = None,
    ) -> "Duplicates":
        """Photos that are there more than once: exact copies, and near ones apart from them.

        Args:
            folder: Only photos below this folder.
            threshold: Lowest cosine of photos that count as nearly the same, above 0 and up to
                1; by default what was measured for the default model.
            advance: Called with the photos compared so far and all photos.

        Raises:
            QueryError: The threshold is no such number.
            CatalogError: Nothing is indexed with this encoder.
            PhotoError: The folder cannot be read.
        """
        from retrieval.search.duplicates import find_duplicates

        if not 0 < threshold <= 1:
            raise QueryError(f"{threshold:g} is no threshold: a cosine above 0 and up to 1 is")
        space = self._indexed_space(folder)
        allowed = self._masks.allowed(space, _below(folder))
        vectors = self._vectors(space).read(len(allowed))
        return find_duplicates(
            self.catalog, space, vectors, allowed, threshold=threshold, advance=advance
        )

    def tune(
        self,
        budget: "Budget",
        *,
        kinds: "Sequence[Kind] | None" = None,
        sentences: Sequence[str] | None = None,
        progress: "Callable[[Kind], BuildProgress] | None" = None,
    ) -> "Tuning":
        """Find the index that keeps within a budget, and search with it from now on.

        Args:
            budget: What a search may cost, and how much of the exact answer it must find.
            kinds: Approximate indexes to try where exact search costs more; all by default.
            sentences: What to measure with; by default everyday things.
            progress: Gives, for a kind, what is told of its building.

        Raises:
            CatalogError: Nothing is indexed with this encoder.
            QueryError: There is no sentence to measure with.
            OSError: The index cannot be written; the one in use stays.
        """
        from retrieval.search.tuning import tune

        space = self._indexed_space(None)
        file = self._vectors(space)
        vectors = file.read(self.catalog.row_count(space))
        self._index = None
        return tune(
            vectors,
            IndexStore(file.path),
            self.encoder,
            budget,
            kinds=kinds,
            sentences=sentences,
            progress=progress,
        )

    def search_exactly(self) -> None:
        """Undo `tune`.

        Raises:
            CatalogError: Nothing is indexed with this encoder.
        """
        IndexStore(self._vectors(self._indexed_space(None)).path).drop()
        self._index = None

    def count(self, folder: Path | None = None) -> int:
        """How many photos a search can return; 0 when nothing is indexed yet."""
        space = self.catalog.space(self.encoder.fingerprint)
        return 0 if space is None else count_photos([_below(folder)], self.catalog, space)

    def _view(self, space: Space, *filters: PhotoFilter) -> View:
        allowed = self._masks.allowed(space, *filters)
        rows = len(allowed)
        vectors = self._vectors(space).read(rows)
        return View(self.catalog, space, self._index_of(space, rows), vectors, allowed)

    def _index_of(self, space: Space, rows: int) -> VectorIndex:
        # `leanclip vacuum` gives a model another space, which may have as many rows.
        if self._index is None or self._indexed != (space.id, rows):
            file = self._vectors(space)
            vectors = file.read(rows)
            self._index = IndexStore(file.path).open(vectors) or ExactIndex(vectors)
            self._indexed = (space.id, rows)
        return self._index

    def _vectors(self, space: Space) -> VectorFile:
        return vector_file(self._home, space)

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


def _check(top: int, cut: float | None) -> None:
    if top < 1:
        raise QueryError(f"cannot show the best {top} photos: ask for 1 or more")
    if cut is not None and not 0 <= cut <= 1:
        raise QueryError(f"cannot cut at {cut:g}: a cut is a share, from 0 (nothing) to 1 (best)")


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

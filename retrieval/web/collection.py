"""One library as the page has it: its threads, its thumbnails, its indexing."""

from collections.abc import Callable, Sequence
from pathlib import Path

from retrieval.catalog.catalog import CATALOG_FILE, Catalog
from retrieval.encode.protocol import Encoder
from retrieval.search.library import Library
from retrieval.web.cache import FileCache
from retrieval.web.facets import Lookups
from retrieval.web.indexing import Indexing
from retrieval.web.searching import Searcher
from retrieval.web.settings import LibrarySettings, Settings
from retrieval.web.thumbnails import Thumbnails
from retrieval.web.uploads import Uploads
from retrieval.web.worker import Worker


class Collection:
    """What requests to one library share.

    Every thread has a catalog connection of its own; SQLite lets them read while one writes.
    All use one encoder, whose sessions may run in several threads at once.
    """

    def __init__(
        self, library: LibrarySettings, settings: Settings, encoder: Encoder, source: str
    ) -> None:
        self.name = library.name
        self.model = encoder.name
        self._folders = library.folders

        def open_library() -> Library:
            return Library.open(library.home, encoder, source=source)

        def open_lookups() -> Lookups:
            return Lookups(Catalog.open(library.home / CATALOG_FILE))

        self.search = Worker(lambda: Searcher(open_library()), f"search-{library.name}")
        self.look_up = Worker(open_lookups, f"look-up-{library.name}")
        self.cache = FileCache(library.home / "thumbnails", settings.thumbnail_bytes)
        self.thumbnails = Thumbnails(self.cache)
        self.uploads = Uploads(side=encoder.preprocessing.size, most_pixels=settings.upload_pixels)
        self.indexing = Indexing(open_library)
        self._warm: Callable[[], object] = lambda: encoder.encode_sentences(["warm"])

    async def start(self) -> None:
        """Load what the first search needs, and index what the server was told to."""
        # The catalog is made by one thread, not by two at once.
        await self.search.run(lambda searcher: searcher.count())
        await self.search.run(lambda _: self._warm())
        if self._folders:
            self.indexing.start(self._folders)

    async def index(self, folders: Sequence[Path]) -> None:
        """Bring folders up to date; without any, all that the library has.

        Raises:
            BusyError: A run is going on.
        """
        if not folders:
            known = await self.look_up.run(lambda lookups: lookups.catalog.folders())
            folders = [folder.path for folder in known] or self._folders
        self.indexing.start(folders)

    def close(self) -> None:
        """Stop indexing and release everything; what is finished is kept."""
        self.indexing.close()
        self.thumbnails.close()
        self.uploads.close()
        self.look_up.close()
        self.search.close()

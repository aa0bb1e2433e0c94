"""What all requests to one server share."""

import asyncio
import secrets
import threading
from collections import OrderedDict
from collections.abc import Sequence

from retrieval.encode.load import open_encoder
from retrieval.encode.protocol import Encoder
from retrieval.hub.names import DEFAULT
from retrieval.search.library import remembered_model
from retrieval.spec.errors import LeanclipError
from retrieval.web.collection import Collection
from retrieval.web.errors import GoneError
from retrieval.web.metrics import Metrics
from retrieval.web.photos import CataloguedPhoto
from retrieval.web.security import Keys
from retrieval.web.settings import Settings

_SELECTIONS_KEPT = 32


class Served:
    """The libraries of a server, opened; and what its visitors have chosen to download."""

    def __init__(self, settings: Settings) -> None:
        """Open the libraries' models; their catalogs are opened by `start`.

        Raises:
            BundleError: A model cannot be used.
            CatalogError: A catalog cannot be used.
        """
        self.settings = settings
        self.keys = Keys(settings.token, settings.port)
        self.metrics = Metrics()
        self.closing = threading.Event()
        """Set when the server is about to end: answers without an end must end, too."""
        self.failure: LeanclipError | None = None
        """Why the server could not start."""
        self._encoders: dict[str, Encoder] = {}
        self.collections = {
            library.name: self._collection(library.name, index)
            for index, library in enumerate(settings.libraries)
        }
        self._selections: OrderedDict[str, Sequence[CataloguedPhoto]] = OrderedDict()

    async def start(self) -> None:
        """Make every library ready to search."""
        await asyncio.gather(*(one.start() for one in self.collections.values()))

    def close(self) -> None:
        """Release everything; what is finished is kept."""
        self.closing.set()
        for one in self.collections.values():
            one.close()

    def select(self, photos: Sequence[CataloguedPhoto]) -> str:
        """Remember photos to download, under a name that nobody can guess."""
        name = secrets.token_urlsafe(16)
        self._selections[name] = photos
        while len(self._selections) > _SELECTIONS_KEPT:
            self._selections.popitem(last=False)
        return name

    def selection(self, name: str) -> Sequence[CataloguedPhoto]:
        """The photos that were chosen.

        Raises:
            GoneError: There is no such choice, or not any longer.
        """
        if name not in self._selections:
            raise GoneError("this download is no longer there: choose the photos again")
        return self._selections[name]

    def _collection(self, name: str, index: int) -> Collection:
        library = self.settings.libraries[index]
        # Asked in any case: what is wrong with the catalog is said before the server starts.
        remembered = remembered_model(library.home)
        source = library.model or remembered or DEFAULT
        if source not in self._encoders:
            self._encoders[source] = open_encoder(source)
        return Collection(library, self.settings, self._encoders[source], source)

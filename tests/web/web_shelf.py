"""The library that tests of the server share."""

from pathlib import Path

from retrieval.web.settings import LibrarySettings, Settings

ADDRESS = "http://127.0.0.1:8765"
API = "/api/libraries/photos"
VICTIMS = tuple(f"victim {number}.jpg" for number in range(8))
"""Photos that a test may damage, each for one test only."""


class Shelf:
    """A library on disk."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.photos = folder / "photos"
        self.bundle = folder / "bundle"

    def settings(self, **changes: object) -> Settings:
        library = LibrarySettings("photos", self.home, str(self.bundle))
        return Settings(**{"libraries": (library,), **changes})  # type: ignore[arg-type]

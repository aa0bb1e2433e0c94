"""The search page on a real server, in a real browser without a window."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from retrieval.encode.load import open_encoder
from retrieval.search.library import Library
from retrieval.web.settings import LibrarySettings, Settings
from tests.e2e.serve.serve_site import TOKEN, Site, Visit
from tests.fakes import COLOURS, save_colour
from tests.fixtures.colour_bundle import make_colour_bundle

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# The page must never wait for the network, so nothing but 127.0.0.1 resolves.
OPTIONS = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> LibrarySettings:
    """Ninety photos in two folders, in several shapes; names that would break a careless page."""
    folder = tmp_path_factory.mktemp("shelf")
    bundle = make_colour_bundle(folder / "bundle")
    for place in range(90):
        colour = list(COLOURS)[place % len(COLOURS)]
        name = f"{colour} {place:02} <img src=x onerror=alert(1)>.jpg"
        save_colour(folder / "photos" / ("trip" if place % 3 else "home") / name, colour, size=40)
    with Library.open(folder / "home", open_encoder(bundle), source=str(bundle)) as library:
        library.ensure_index(folder / "photos")
    return LibrarySettings("photos", folder / "home", str(bundle))


@pytest.fixture(scope="session")
def site(shelf: LibrarySettings) -> Iterator[Site]:
    site = Site(Settings((shelf,)))
    yield site
    site.close()


@pytest.fixture(scope="session")
def locked_site(shelf: LibrarySettings) -> Iterator[Site]:
    site = Site(Settings((shelf,), token=TOKEN))
    yield site
    site.close()


# Not for longer than a module: playwright keeps an event loop running, which others may need.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail(f"none of {', '.join(BROWSERS)} is installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser, site: Site) -> Iterator[Visit]:
    """A tab on the page; nothing may go wrong in it, and nothing come from elsewhere."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    visit = Visit(context.new_page(), site)
    visit.open()
    yield visit
    assert visit.complaints == []
    assert all(one.startswith((site.address, "blob:")) for one in visit.requests)
    context.close()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return save_colour(tmp_path / "blue.png", "blue")

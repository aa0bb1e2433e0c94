"""One small library, indexed once, and servers of it; no test changes a photo of another."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from fixtures.colour_bundle import make_colour_bundle
from PIL import Image
from starlette.testclient import TestClient

from retrieval.encode.load import open_encoder
from retrieval.search.library import Library
from retrieval.web.app import make_app
from retrieval.web.settings import Settings
from tests.fakes import COLOURS, save_colour
from tests.web.web_shelf import ADDRESS, API, VICTIMS, Shelf


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Three photos of each colour in two folders, one with everything in its EXIF, victims."""
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    make_colour_bundle(shelf.bundle)
    for colour in COLOURS:
        for number in range(3):
            save_colour(
                shelf.photos / ("trip" if number else "home") / f"{colour} {number}.jpg", colour
            )
    for name in VICTIMS:
        save_colour(shelf.photos / "victims" / name, "white")
    save_colour(shelf.photos / "odd" / 'a "quoted"\r\nSet-Cookie: x=1; é.jpg', "green")
    wide = Image.linear_gradient("L").resize((900, 300)).convert("RGB")
    exif = Image.Exif()
    exif[0x0110] = "Lens Maker 7"
    exif[0x0132] = "2021:05:06 07:08:09"
    exif.get_ifd(0x8769)[0x9003] = "2021:05:06 07:08:09"
    exif.get_ifd(0x8825).update({1: "N", 2: (59.0, 54.0, 36.0), 3: "E", 4: (10.0, 45.0, 0.0)})
    wide.save(shelf.photos / "odd" / "wide.jpg", exif=exif)
    (shelf.photos / "odd" / "broken.jpg").write_text("no photo")
    (shelf.photos.parent / "secret.jpg").write_bytes(
        (shelf.photos / "odd" / "wide.jpg").read_bytes()
    )
    with Library.open(shelf.home, open_encoder(shelf.bundle), source=str(shelf.bundle)) as library:
        library.ensure_index(shelf.photos)
    return shelf


@pytest.fixture(scope="session")
def client(shelf: Shelf) -> Iterator[TestClient]:
    """A browser of this machine, without a token."""
    with TestClient(make_app(shelf.settings()), base_url=ADDRESS) as client:
        yield client


@pytest.fixture
def serve() -> Iterator[Callable[[Settings], TestClient]]:
    """Start a server of one's own; it ends with the test."""
    with ExitStack() as running:
        yield lambda settings: running.enter_context(
            TestClient(make_app(settings), base_url=f"http://127.0.0.1:{settings.port}")
        )


@pytest.fixture(scope="session")
def ids(client: TestClient) -> dict[str, int]:
    """Ids of all photos by their names."""
    found = client.get(f"{API}/photos", params={"limit": 200}).json()["photos"]
    return {photo["name"]: photo["id"] for photo in found}

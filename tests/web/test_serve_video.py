"""Videos of the catalog: pictures of their moments, and their files in parts."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from fixtures.colour_bundle import make_colour_bundle
from fixtures.videos import plain, write_video
from PIL import Image
from starlette.testclient import TestClient

from retrieval.encode.load import open_encoder
from retrieval.search.library import Library
from retrieval.web.app import make_app
from retrieval.web.ranges import asked_range
from tests.fakes import COLOURS, save_colour
from tests.web.web_shelf import ADDRESS, API, Shelf

SCENES = ("red", "green", "blue")
SECONDS = 4


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """A film of three colours, another that a test replaces, and a photo."""
    shelf = Shelf(tmp_path_factory.mktemp("films"))
    make_colour_bundle(shelf.bundle)
    shelf.photos.mkdir()
    for name in ("film.webm", "victim.mkv"):
        scenes = [plain(COLOURS[colour]) for colour in SCENES]
        write_video(shelf.photos / name, scenes, seconds=SECONDS)
    save_colour(shelf.photos / "yellow.jpg", "yellow")
    with Library.open(shelf.home, open_encoder(shelf.bundle), source=str(shelf.bundle)) as library:
        library.ensure_index(shelf.photos)
    return shelf


@pytest.fixture(scope="module")
def cinema(films: Shelf) -> Iterator[TestClient]:
    with TestClient(make_app(films.settings()), base_url=ADDRESS) as client:
        yield client


@pytest.fixture(scope="module")
def ids(cinema: TestClient) -> dict[str, int]:
    photos = cinema.get(f"{API}/photos").json()["photos"]
    return {photo["name"]: photo["id"] for photo in photos}


def found(cinema: TestClient, words: str) -> dict:
    photos = cinema.get(f"{API}/photos", params={"q": words}).json()["photos"]
    return next(photo for photo in photos if photo["name"] == "film.webm")


def shown(cinema: TestClient, address: str) -> str:
    """The colour of a picture."""
    answer = cinema.get(address)
    assert answer.status_code == 200, answer.text
    pixel = Image.open(io.BytesIO(answer.content)).resize((1, 1)).getpixel((0, 0))
    return min(COLOURS, key=lambda name: np.abs(np.subtract(COLOURS[name], pixel)).sum())


def test_a_hit_in_a_video_says_when(cinema: TestClient):
    for place, colour in enumerate(SCENES):
        film = found(cinema, colour)
        assert film["is_video"] is True
        assert film["moment_ms"] == place * SECONDS * 1000
        assert film["duration_ms"] == pytest.approx(3 * SECONDS * 1000, abs=300)
    photos = cinema.get(f"{API}/photos", params={"q": "yellow"}).json()["photos"]
    assert (photos[0]["is_video"], photos[0]["moment_ms"]) == (False, None)
    assert found(cinema, "type:video")["moment_ms"] is None


@pytest.mark.parametrize("size", ["small", "large"])
def test_its_picture_is_of_that_moment(cinema: TestClient, size: str):
    for colour in (*SCENES, *SCENES):
        film = found(cinema, colour)
        address = f"{API}/photos/{film['id']}/thumbnails/{size}?moment={film['moment_ms']}"
        assert shown(cinema, address) == colour


def test_browsers_keep_the_pictures_of_moments_apart(cinema: TestClient, ids):
    address = f"{API}/photos/{ids['film.webm']}/thumbnails/small"
    version = found(cinema, "red")["version"]
    marks = set()
    for moment in (None, 0, 4000):
        given = {"v": version} if moment is None else {"v": version, "moment": moment}
        answer = cinema.get(address, params=given)
        assert "immutable" in answer.headers["cache-control"]
        marks.add(answer.headers["etag"])
    assert len(marks) == 3


@pytest.mark.parametrize(
    ("name", "moment", "status"),
    [("film.webm", 1, 404), ("film.webm", 4001, 404), ("film.webm", 10**12, 404)]
    + [("yellow.jpg", 0, 404), ("film.webm", -1, 422), ("film.webm", "0; DROP TABLE", 422)],
)
def test_only_moments_of_the_catalog_are_decoded_and_kept(
    cinema: TestClient, films: Shelf, ids, name: str, moment: object, status: int
):
    kept = len(list((films.home / "thumbnails").rglob("*.cached")))
    address = f"{API}/photos/{ids[name]}/thumbnails/small"
    assert cinema.get(address, params={"moment": moment}).status_code == status
    assert len(list((films.home / "thumbnails").rglob("*.cached"))) == kept


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-99", 0, 99), ("bytes=100-", 100, -1), ("bytes=-50", -50, -1)]
    + [("bytes=7-7", 7, 7), ("bytes=10-99999999999", 10, -1), ("bytes=-99999999999", 0, -1)],
)
def test_a_player_gets_the_part_that_it_asks_for(
    cinema: TestClient, films: Shelf, ids, asked: str, first: int, last: int
):
    content = (films.photos / "film.webm").read_bytes()
    first, last = first % len(content), last % len(content)
    address = f"{API}/photos/{ids['film.webm']}/file"
    answer = cinema.get(address, headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == content[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(content)}"
    assert answer.headers["content-length"] == str(last + 1 - first)
    assert answer.headers["content-type"] == "video/webm"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,5-9", "bytes=9-2", "bytes=-", "bytes=a-b", "lines=1-2", "bytes 0-5", ""]
)
def test_what_is_no_single_range_gets_the_whole_file(
    cinema: TestClient, films: Shelf, ids, asked: str
):
    answer = cinema.get(f"{API}/photos/{ids['film.webm']}/file", headers={"Range": asked})
    assert answer.status_code == 200
    assert answer.content == (films.photos / "film.webm").read_bytes()
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=99999999-999999999", "bytes=-0"])
def test_a_part_behind_the_end_is_refused(cinema: TestClient, films: Shelf, ids, asked: str):
    answer = cinema.get(f"{API}/photos/{ids['film.webm']}/file", headers={"Range": asked})
    assert answer.status_code == 416
    size = (films.photos / "film.webm").stat().st_size
    assert answer.headers["content-range"] == f"bytes */{size}"


def test_parts_of_two_files_are_never_joined(cinema: TestClient, ids):
    address = f"{API}/photos/{ids['film.webm']}/file"
    mark = cinema.get(address, headers={"Range": "bytes=0-9"}).headers["etag"]
    same = cinema.get(address, headers={"Range": "bytes=10-19", "If-Range": mark})
    assert same.status_code == 206
    for other in ('"another"', "Sat, 01 Jan 2022 00:00:00 GMT"):
        answer = cinema.get(address, headers={"Range": "bytes=10-19", "If-Range": other})
        assert answer.status_code == 200


def test_no_part_of_another_file_is_served(cinema: TestClient, films: Shelf, ids):
    address = f"{API}/photos/{ids['victim.mkv']}/file"
    part = {"Range": "bytes=0-9"}
    assert cinema.get(address, headers=part).headers["content-type"] == "video/x-matroska"
    secret = films.photos.parent / "secret.mkv"
    secret.write_bytes(b"secret" * 99)
    (films.photos / "victim.mkv").unlink()
    (films.photos / "victim.mkv").symlink_to(secret)
    for headers in ({}, part, {"Range": "bytes=-9"}):
        answer = cinema.get(address, headers=headers)
        assert answer.status_code == 404
        assert b"secret" not in answer.content
    picture = f"{API}/photos/{ids['victim.mkv']}/thumbnails/small?moment=0"
    assert cinema.get(picture).status_code == 404


def test_media_come_from_this_server_only(cinema: TestClient):
    policy = cinema.get("/").headers["content-security-policy"]
    assert "media-src 'self';" in policy


@pytest.mark.parametrize("size", [1, 10])
@pytest.mark.parametrize(
    "header", ["bytes=0-0", "bytes=5-5", "bytes=-3", "bytes=4-", "BYTES= 1-2 "]
)
def test_a_range_lies_within_the_file(header: str, size: int):
    wanted = asked_range(header, size)
    assert wanted is not None
    assert all(0 <= place < size for place in wanted)


def test_numbers_that_no_file_reaches_are_not_counted():
    assert asked_range(f"bytes=0-{'9' * 5000}", 10) is None
    assert asked_range(None, 10) is None
    assert asked_range("bytes=٣-٤", 10) is None

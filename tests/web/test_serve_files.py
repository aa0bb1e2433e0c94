"""From an id to a file: what is served, and attacks on it."""

import io
import os
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from retrieval.web.cache import FileCache
from retrieval.web.names import ZipNames, attachment
from tests.fakes import save_colour
from tests.web.web_shelf import API

ODD = 'a "quoted"\\r\\nSet-Cookie: x=1; é.jpg'


def test_a_photo_tells_what_is_known_of_it(client: TestClient, shelf, ids):
    told = client.get(f"{API}/photos/{ids['wide.jpg']}").json()
    file = shelf.photos / "odd" / "wide.jpg"
    assert told["path"] == str(file)
    assert told["bytes"] == file.stat().st_size
    assert (told["width"], told["height"], told["type"]) == (900, 300, "jpg")
    assert told["taken"] == told["date"] == "2021-05-06T07:08:09"
    assert told["camera"] == "Lens Maker 7"
    assert told["is_there"] is True


def test_the_original_is_served_as_a_file_to_save(client: TestClient, shelf, ids):
    answer = client.get(f"{API}/photos/{ids['wide.jpg']}/file")
    assert answer.content == (shelf.photos / "odd" / "wide.jpg").read_bytes()
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-disposition"].startswith('attachment; filename="wide.jpg"')


@pytest.mark.parametrize(
    ("size", "most"), [("small", (900, 240)), ("medium", (1800, 480)), ("large", (2048, 2048))]
)
def test_thumbnails_fit_their_bounds_and_are_kept(client: TestClient, shelf, ids, size, most):
    address = f"{API}/photos/{ids['wide.jpg']}/thumbnails/{size}"
    answer = client.get(address)
    picture = Image.open(io.BytesIO(answer.content))
    assert picture.format == "JPEG"
    assert picture.width <= most[0] and picture.height <= most[1]
    assert picture.width / picture.height == pytest.approx(3, rel=0.02)
    assert not picture.getexif()
    kept = len(list((shelf.home / "thumbnails").rglob("*.cached")))
    assert client.get(address).content == answer.content
    assert len(list((shelf.home / "thumbnails").rglob("*.cached"))) == kept


def test_browsers_keep_a_thumbnail_only_by_its_version(client: TestClient, ids):
    address = f"{API}/photos/{ids['wide.jpg']}/thumbnails/small"
    version = client.get(f"{API}/photos/{ids['wide.jpg']}").json()["version"]
    assert "immutable" in client.get(address, params={"v": version}).headers["cache-control"]
    plain = client.get(address)
    assert plain.headers["cache-control"] == "no-cache"
    again = client.get(address, headers={"If-None-Match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def everything_of(photo: int) -> list[str]:
    return [
        f"{API}/photos/{photo}/file",
        *(f"{API}/photos/{photo}/thumbnails/{size}" for size in ("small", "large")),
    ]


def gone(client: TestClient, photo: int) -> bool:
    answers = [client.get(address) for address in everything_of(photo)]
    return all(
        one.status_code == 404 and one.headers["content-type"] == "application/json"
        for one in answers
    )


def test_a_deleted_photo_is_gone_with_its_thumbnails(client: TestClient, shelf, ids):
    photo = ids["victim 0.jpg"]
    assert all(client.get(address).status_code == 200 for address in everything_of(photo))
    (shelf.photos / "victims" / "victim 0.jpg").unlink()
    assert gone(client, photo)
    assert client.get(f"{API}/photos/{photo}").json()["is_there"] is False
    found = client.get(f"{API}/photos", params={"limit": 200}).json()["photos"]
    assert photo not in [one["id"] for one in found]


def test_a_link_to_a_private_file_under_a_photos_name_is_not_followed(
    client: TestClient, shelf, ids
):
    victim = shelf.photos / "victims" / "victim 1.jpg"
    victim.unlink()
    victim.symlink_to(shelf.photos.parent / "secret.jpg")
    assert gone(client, ids["victim 1.jpg"])


def test_a_folder_that_became_a_link_leads_nowhere(client: TestClient, shelf, ids, tmp_path):
    private = save_colour(tmp_path / "private" / "yellow 0.jpg", "red", size=99).parent
    for colour in ("red", "green", "blue", "yellow", "white"):
        save_colour(private / f"{colour} 0.jpg", "red", size=99)
    moved = shelf.photos / "home"
    moved.rename(shelf.photos / "moved")
    try:
        moved.symlink_to(private)
        assert gone(client, ids["yellow 0.jpg"])
    finally:
        moved.unlink()
        (shelf.photos / "moved").rename(moved)
    assert not gone(client, ids["yellow 0.jpg"])


def test_a_photo_that_was_edited_is_not_served_before_it_is_indexed_again(
    client: TestClient, shelf, ids
):
    save_colour(shelf.photos / "victims" / "victim 2.jpg", "red", size=99)
    assert gone(client, ids["victim 2.jpg"])
    assert "changed" in client.get(f"{API}/photos/{ids['victim 2.jpg']}/file").json()["detail"]


def test_a_pipe_under_a_photos_name_does_not_hang_the_server(client: TestClient, shelf, ids):
    victim = shelf.photos / "victims" / "victim 3.jpg"
    victim.unlink()
    os.mkfifo(victim)
    assert gone(client, ids["victim 3.jpg"])


@pytest.mark.parametrize(
    "path",
    [
        "/static/../settings.py",
        "/static/..%2Fsettings.py",
        "/static/%2e%2e/%2e%2e/settings.py",
        "/static//etc/passwd",
        "/static/js/../../settings.py",
        "/static/js%00/main.js",
        "/static/..\\settings.py",
        "/..%2f..%2fetc/passwd",
        f"{API}/photos/..%2f..%2fsecret.jpg/file",
        f"{API}/photos/1/thumbnails/..%2f..%2fsecret",
        f"{API}/photos/1/thumbnails/small%00",
        f"{API}/selections/..%2f..%2fsecret.zip",
        "/api/libraries/..%2f..%2fhome/photos",
        "/api/libraries/%2Fetc/photos",
    ],
)
def test_no_path_of_a_request_reaches_the_file_system(client: TestClient, path: str):
    answer = client.get(path)
    assert answer.status_code in (404, 422)
    assert b"def " not in answer.content and b"root:" not in answer.content


@pytest.mark.parametrize("photo", ["0", "-1", "9" * 30, "1.5", "1e3", "true", "99999"])
def test_other_ids_name_no_photo(client: TestClient, photo: str):
    for address in (f"{API}/photos/{photo}", f"{API}/photos/{photo}/file"):
        assert client.get(address).status_code in (404, 422)


def test_a_file_name_cannot_write_headers(client: TestClient, ids):
    answer = client.get(f"{API}/photos/{ids[ODD]}/file")
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert answer.headers.get_list("content-disposition") == [attachment(ODD)]


@pytest.mark.parametrize(
    "name",
    [
        'a"b.jpg',
        "a\r\nX: y.jpg",
        "../../etc/passwd",
        "..\\..\\boot.ini",
        "\0.jpg",
        "",
        "...",
        "é😀.jpg",
        "a;b.jpg",
    ],
)
def test_what_a_name_holds_stays_inside_its_quotes(name: str):
    value = attachment(name)
    assert value.isascii() and value.isprintable()
    assert value.count('"') == 2 and "/" not in value and "\\" not in value
    plain = value.split('"')[1]
    assert plain and not plain.startswith(".")


def test_a_name_that_is_no_text_is_shown_and_saved():
    path = Path(os.fsdecode(b"caf\xe9.jpg"))
    assert ZipNames().name(path) == "caf_xe9.jpg"


def download(client: TestClient, photos: list[int]) -> zipfile.ZipFile:
    chosen = client.post(f"{API}/selections", json={"photos": photos})
    assert chosen.status_code == 201
    answer = client.get(f"{API}/selections/{chosen.json()['selection']}.zip")
    assert answer.headers["content-type"] == "application/zip"
    return zipfile.ZipFile(io.BytesIO(answer.content))


def test_chosen_photos_come_as_one_zip(client: TestClient, shelf, ids):
    archive = download(client, [ids["red 1.jpg"], ids["wide.jpg"], ids["red 1.jpg"]])
    assert archive.namelist() == ["red 1.jpg", "wide.jpg"]
    assert archive.testzip() is None
    assert archive.read("wide.jpg") == (shelf.photos / "odd" / "wide.jpg").read_bytes()
    assert archive.getinfo("wide.jpg").date_time == (2021, 5, 6, 7, 8, 8)


def test_a_zip_says_which_photos_are_missing(client: TestClient, shelf, ids):
    victim = shelf.photos / "victims" / "victim 4.jpg"
    victim.unlink()
    victim.symlink_to(shelf.photos.parent / "secret.jpg")
    archive = download(client, [ids["victim 4.jpg"], ids["red 1.jpg"]])
    assert archive.namelist() == ["red 1.jpg", "missing photos.txt"]
    assert archive.read("missing photos.txt") == b"victim 4.jpg\n"


def test_names_in_a_zip_lead_nowhere_and_are_given_once(client: TestClient, ids):
    assert download(client, [ids[ODD]]).namelist() == ["a _quoted__r_nSet-Cookie_ x=1; é.jpg"]
    names = ZipNames()
    given = [names.name(Path(folder) / "Beach.jpg") for folder in ("a", "b")]
    assert [*given, names.name(Path("beach.JPG"))] == [
        "Beach.jpg",
        "Beach (2).jpg",
        "beach (3).JPG",
    ]
    assert names.name(Path("..\\..\\evil.exe")) == "_.._evil.exe"


@pytest.mark.parametrize("photos", [[], [0], ["1; DROP TABLE photos"], [1] * 5001, "all", [2**64]])
def test_a_selection_that_is_none_is_refused(client: TestClient, photos: object):
    assert client.post(f"{API}/selections", json={"photos": photos}).status_code == 422


def test_a_selection_cannot_be_guessed_or_kept_for_ever(client: TestClient):
    first = client.post(f"{API}/selections", json={"photos": [1]}).json()["selection"]
    for _ in range(40):
        client.post(f"{API}/selections", json={"photos": [1]})
    assert client.get(f"{API}/selections/{first}.zip").status_code == 404
    assert client.get(f"{API}/selections/{'A' * 22}.zip").status_code == 404


def test_the_cache_stays_within_its_limit_and_keeps_what_is_new(tmp_path):
    cache = FileCache(tmp_path, limit=1000)
    for number in range(30):
        cache.put(f"{number:02}key", bytes(100))
        os.utime(tmp_path / f"{number:02}" / "key.cached", (number, number))
    files = list(tmp_path.rglob("*.cached"))
    assert sum(file.stat().st_size for file in files) <= 1000
    assert cache.get("29key") == bytes(100)
    assert cache.get("00key") is None
    assert FileCache(tmp_path, limit=1000).get("29key") == bytes(100)


def test_a_cache_that_cannot_be_written_keeps_nothing_and_says_nothing(tmp_path):
    (tmp_path / "cache").write_text("in the way")
    cache = FileCache(tmp_path / "cache", limit=1000)
    cache.put("00key", b"value")
    assert cache.get("00key") is None

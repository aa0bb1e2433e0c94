"""Searching over HTTP: words, photos, filters, pages; and attacks through what is uploaded."""

import asyncio
import io
import struct
import zlib

import pytest
from PIL import Image
from starlette.testclient import TestClient

from retrieval.catalog.filters import PhotoFilter
from retrieval.web.asking import both
from retrieval.web.errors import GoneError
from retrieval.web.settings import LibrarySettings
from retrieval.web.uploads import Uploads
from tests.web.web_shelf import API, Shelf


def names(client: TestClient, **asked: object) -> list[str]:
    answer = client.get(f"{API}/photos", params={"limit": 200, **asked})
    assert answer.status_code == 200, answer.text
    return [photo["name"] for photo in answer.json()["photos"]]


def png(width: int, height: int, colour: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_words_find_photos_best_first(client: TestClient):
    answer = client.get(f"{API}/photos", params={"q": "red", "limit": 5}).json()
    assert {photo["name"] for photo in answer["photos"][:3]} == {
        "red 0.jpg",
        "red 1.jpg",
        "red 2.jpg",
    }
    scores = [photo["score"] for photo in answer["photos"]]
    assert scores == sorted(scores, reverse=True)
    assert answer["total"] is None


def test_signs_and_weights_are_understood(client: TestClient):
    assert names(client, q="red + green", limit=6)[:6] != names(client, q="red", limit=6)[:6]
    found = names(client, q="yellow - green")
    assert found.index("red 0.jpg") < found.index("yellow 0.jpg") < found.index("green 0.jpg")


def test_without_words_the_newest_photos_come_first(client: TestClient):
    answer = client.get(f"{API}/photos", params={"limit": 200}).json()
    dates = [photo["date"] for photo in answer["photos"]]
    assert dates == sorted(dates, reverse=True)
    assert answer["photos"][-1]["name"] == "wide.jpg"
    assert {photo["score"] for photo in answer["photos"]} == {None}


@pytest.mark.parametrize("q", ["", "red"])
def test_pages_follow_each_other_without_a_gap(client: TestClient, q: str):
    whole = names(client, q=q)
    paged, offset = [], 0
    while offset is not None:
        answer = client.get(f"{API}/photos", params={"q": q, "limit": 4, "offset": offset}).json()
        paged += [photo["name"] for photo in answer["photos"]]
        offset = answer["next"]
    assert paged == whole


def test_more_like_a_photo_leaves_it_out(client: TestClient, ids):
    found = names(client, like=ids["blue 1.jpg"])
    assert "blue 1.jpg" not in found
    narrowed = names(client, like=ids["blue 1.jpg"], type="jpg", after="2022-01-01")
    assert "blue 1.jpg" not in narrowed and "wide.jpg" not in narrowed
    assert narrowed[0].startswith("blue")


def test_an_uploaded_photo_finds_its_likes(client: TestClient):
    answer = client.post(f"{API}/examples", content=png(300, 200, "yellow"))
    assert answer.status_code == 201
    found = names(client, example=answer.json()["example"])
    assert {one.split()[0] for one in found[:3]} == {"yellow"}


def test_filters_narrow_what_is_found(client: TestClient):
    choices = client.get(f"{API}/choices").json()
    labels = [(folder["label"], folder["depth"], folder["photos"]) for folder in choices["folders"]]
    assert labels[0][:2] == ("photos", 0)
    assert ("trip", 1, 10) in labels
    trip = next(folder["id"] for folder in choices["folders"] if folder["label"] == "trip")
    assert len(names(client, folder=trip)) == 10
    assert all(not one.endswith("0.jpg") for one in names(client, q="red", folder=trip))
    assert names(client, before="2021-05-07") == ["wide.jpg"]
    assert names(client, after="2021-05-06", before="2021-05-07") == ["wide.jpg"]
    assert names(client, q="red", after="2021-05-07", before="2021-05-08") == []
    assert names(client, camera="lens maker") == ["wide.jpg"]
    assert names(client, type="png") == []
    assert names(client, latitude=59.9, longitude=10.8) == ["wide.jpg"]
    assert names(client, latitude=59.9, longitude=10.8, kilometres=1) == []
    assert choices["first"] == "2021-05-06"
    assert {"value": "Lens Maker 7", "photos": 1} in choices["cameras"]


def test_filters_can_be_typed(client: TestClient):
    assert names(client, q="before:2022 type:jpg") == ["wide.jpg"]
    assert names(client, q="before:2022", after="2021-06-01") == []


def test_what_is_typed_and_what_is_chosen_must_both_hold():
    typed = PhotoFilter(after=10, before=90, camera="canon", suffixes=(".png",))
    chosen = PhotoFilter(after=20, before=95, camera="nikon")
    assert both(typed, chosen) == PhotoFilter(
        after=20, before=90, camera="nikon", suffixes=(".png",)
    )


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "{home}/yellow 0.jpg", "../secret.jpg", "file:///etc/passwd"]
)
def test_a_path_that_is_typed_is_words(client: TestClient, shelf: Shelf, path: str, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a photo was read for a sentence")

    monkeypatch.setattr("retrieval.search.query.embed.load_frames", refuse)
    answer = client.get(f"{API}/photos", params={"q": path.format(home=shelf.photos / "home")})
    assert answer.status_code in (200, 400)
    assert "no such" not in answer.text and "there is" not in answer.text


def test_a_typed_folder_outside_the_library_tells_nothing(client: TestClient):
    there = client.get(f"{API}/photos", params={"q": "in:/etc red"})
    not_there = client.get(f"{API}/photos", params={"q": "in:/nowhere-at-all red"})
    assert there.status_code == not_there.status_code
    assert there.text.replace("/etc", "") == not_there.text.replace("/nowhere-at-all", "")


@pytest.mark.parametrize(
    "asked",
    [
        {"limit": 0},
        {"limit": 100_000},
        {"offset": -1},
        {"q": "x" * 1001},
        {"folder": "../../etc"},
        {"folder": "' OR 1=1 --"},
        {"type": "%"},
        {"type": "jpg' --"},
        {"after": "yesterday"},
        {"latitude": 91},
        {"latitude": "nan"},
        {"like": 0},
        {"example": "../../../etc/passwd"},
    ],
)
def test_what_makes_no_sense_is_refused(client: TestClient, asked: dict[str, object]):
    assert client.get(f"{API}/photos", params=asked).status_code == 422


def test_what_is_not_there_is_said(client: TestClient):
    for asked in ({"like": 99999}, {"example": "A" * 22}, {"folder": "0" * 16}):
        assert client.get(f"{API}/photos", params=asked).status_code == 404
    assert client.get("/api/libraries/nothing/photos").status_code == 404


def test_a_query_that_is_nothing_but_a_sign_is_explained(client: TestClient):
    answer = client.get(f"{API}/photos", params={"q": "red +"})
    assert answer.status_code == 400
    assert isinstance(answer.json()["detail"], str)


def leftovers(client: TestClient) -> list[str]:
    uploads = client.app.state.served.collections["photos"].uploads  # type: ignore[attr-defined]
    return [one.name for one in uploads.folder.glob("*.upload")]


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says, truly, that it is huge."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no photo",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<!doctype html><script>alert(1)</script>",
        b"%PDF-1.7",
        b"#!/bin/sh",
        png(64, 64)[:60],
        bomb(60_000, 60_000),
        bomb(2**31 - 1, 1),
        bomb(2**31 - 1, 2**31 - 1),
    ],
)
def test_what_is_no_photo_or_a_bomb_is_refused_and_leaves_nothing(
    client: TestClient, content: bytes
):
    answer = client.post(f"{API}/examples", content=content)
    assert answer.status_code == 415
    assert answer.json()["detail"].startswith("this file ")
    assert "/" not in answer.json()["detail"], "the server's own paths are nobody's business"
    assert leftovers(client) == []


def test_uploads_are_bounded_in_bytes_and_pixels(shelf: Shelf, serve):
    small = serve(shelf.settings(upload_bytes=5000, upload_pixels=10_000))
    address = f"{API}/examples"
    assert small.post(address, content=png(100, 100)).status_code == 201
    assert small.post(address, content=png(101, 100)).status_code == 415
    assert small.post(address, content=bytes(5001)).status_code == 413
    lying = {"Content-Length": "10"}
    assert small.post(address, content=bytes(6000), headers=lying).status_code in (400, 413)

    def endless():
        sent = 0
        while sent < 1_000_000:
            sent += 1000
            yield bytes(1000)

    assert small.post(address, content=endless()).status_code == 413


def test_other_bodies_are_bounded_too(client: TestClient):
    answer = client.post(f"{API}/selections", content=b"[" * 2_000_000)
    assert answer.status_code == 413


def test_only_the_last_uploads_are_kept():
    uploads = Uploads(side=8, most_pixels=100, kept=2)

    async def add_three() -> list[str]:
        return [await uploads.add(png(8, 8)) for _ in range(3)]

    first, *others = asyncio.run(add_three())
    assert all(uploads.path(name).is_file() for name in others)
    with pytest.raises(GoneError, match="choose it again"):
        uploads.path(first)
    assert len(list(uploads.folder.iterdir())) == 2
    uploads.close()
    assert not uploads.folder.exists()


def test_an_empty_library_answers_without_photos(tmp_path, shelf: Shelf, serve):
    empty = Shelf(tmp_path)
    empty.bundle = shelf.bundle
    browser = serve(empty.settings())
    assert browser.get("/api/libraries").json()[0]["photos"] == 0
    for asked in ({}, {"q": "red"}, {"type": "jpg"}):
        answer = browser.get(f"{API}/photos", params=asked)
        assert answer.json()["photos"] == []


def test_two_libraries_are_kept_apart(tmp_path, shelf: Shelf, serve):
    other = LibrarySettings("other", tmp_path / "home", str(shelf.bundle))
    browser = serve(shelf.settings(libraries=(*shelf.settings().libraries, other)))
    listed = browser.get("/api/libraries").json()
    assert [(one["name"], one["photos"] > 0) for one in listed] == [
        ("photos", True),
        ("other", False),
    ]
    assert browser.get("/api/libraries/other/photos/1").status_code == 404

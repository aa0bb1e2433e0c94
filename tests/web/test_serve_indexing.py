"""Indexing from the page, seen live; what the server says of itself."""

import json
import threading
import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from retrieval.search.indexing import IndexReport
from retrieval.search.library import Library
from retrieval.spec.errors import CatalogError
from tests.fakes import save_colour
from tests.web.web_shelf import API, Shelf


def wait(client: TestClient) -> dict:
    for _ in range(600):
        state = client.get(f"{API}/indexing").json()
        if not state["running"]:
            return state
        time.sleep(0.05)
    raise AssertionError("indexing does not end")


@pytest.fixture
def fresh(tmp_path: Path, shelf: Shelf, serve) -> tuple[Shelf, TestClient]:
    own = Shelf(tmp_path)
    own.bundle = shelf.bundle
    for colour in ("red", "green"):
        save_colour(own.photos / f"{colour}.jpg", colour)
    return own, serve(own.settings())


class Gate:
    """Stands in for `Library.ensure_index`: reads a photo each time it is let."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failure: Exception | None = None) -> None:
        self.next = threading.Semaphore(0)
        self.failure = failure
        gate = self

        def ensure_index(library: Library, folder: Path, *, progress) -> IndexReport:
            from retrieval.search.indexing import IndexProgress

            if gate.failure is not None:
                raise gate.failure
            for done in range(100):
                progress(IndexProgress(done, 100, 0))
                assert gate.next.acquire(timeout=30)
            return IndexReport(100, 0, 0, 0, [], 1.0)

        monkeypatch.setattr(Library, "ensure_index", ensure_index)


def folder_id(client: TestClient) -> str:
    return client.get(f"{API}/choices").json()["folders"][0]["id"]


def test_what_the_server_was_told_to_read_can_be_found(fresh, serve):
    own, _ = fresh
    settings = own.settings()
    library = settings.libraries[0].__class__("photos", own.home, str(own.bundle), (own.photos,))
    browser = serve(own.settings(libraries=(library,)))
    assert wait(browser)["added"] == 2
    assert (
        browser.get(f"{API}/photos", params={"q": "green"}).json()["photos"][0]["name"]
        == "green.jpg"
    )
    save_colour(own.photos / "blue.jpg", "blue")
    assert (
        browser.post(f"{API}/indexing", json={"folders": [folder_id(browser)]}).status_code == 202
    )
    wait(browser)
    assert browser.get("/api/libraries").json()[0]["photos"] == 3
    assert (
        browser.get(f"{API}/photos", params={"q": "blue"}).json()["photos"][0]["name"] == "blue.jpg"
    )


def test_only_one_run_at_a_time_and_it_can_be_stopped(client: TestClient, monkeypatch):
    gate = Gate(monkeypatch)
    assert client.post(f"{API}/indexing", json={"folders": []}).status_code == 202
    assert client.post(f"{API}/indexing", json={"folders": []}).status_code == 409
    assert client.delete(f"{API}/indexing").json()["stopping"] is True
    gate.next.release(2)
    state = wait(client)
    assert (state["running"], state["stopping"], state["error"]) == (False, False, None)
    assert state["done"] < 100


def test_progress_is_told_as_it_happens(client: TestClient, monkeypatch):
    gate = Gate(monkeypatch)
    served = client.app.state.served  # type: ignore[attr-defined]
    client.post(f"{API}/indexing", json={"folders": []})
    gate.next.release(100)

    # The stream has no end of its own: it ends with the server.
    def end() -> None:
        wait(client)
        time.sleep(0.6)
        served.closing.set()

    ending = threading.Thread(target=end)
    ending.start()
    try:
        answer = client.get(f"{API}/indexing/events")
    finally:
        ending.join()
        served.closing.clear()
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in answer.text.splitlines() if line.startswith("data: ")]
    seen = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert seen[-1]["running"] is False
    assert seen[-1]["added"] == 100


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (CatalogError("the catalog is damaged"), "the catalog is damaged"),
        (
            OSError(28, "No space left on device", "/full/disk"),
            "/full/disk: No space left on device",
        ),
    ],
)
def test_what_went_wrong_is_said(client: TestClient, monkeypatch, failure: Exception, said: str):
    Gate(monkeypatch, failure)
    client.post(f"{API}/indexing", json={"folders": []})
    assert wait(client)["error"] == said


@pytest.mark.parametrize("folders", [["/etc"], ["../.."], ["0" * 15], "all", [7]])
def test_a_folder_cannot_be_named_by_its_path(client: TestClient, folders: object):
    assert client.post(f"{API}/indexing", json={"folders": folders}).status_code == 422
    assert client.post(f"{API}/indexing", json={"folders": ["0" * 16]}).status_code == 404


def test_files_that_cannot_be_searched_are_named(client: TestClient, shelf: Shelf):
    listed = client.get(f"{API}/skipped").json()
    assert [one["path"] for one in listed] == [str(shelf.photos / "odd" / "broken.jpg")]


def test_metrics_count_by_pattern_and_never_name_what_was_asked(client: TestClient):
    client.get(f"{API}/photos", params={"q": "a very private sentence"})
    client.get("/somewhere/private")
    client.request("INVENTED", "/")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = answer.text
    assert 'route="/api/libraries/{library}/photos",status="200"' in text
    assert 'leanclip_photos{library="photos"}' in text
    assert "private" not in text and "INVENTED" not in text


def test_health_needs_no_token(shelf: Shelf, serve):
    browser = serve(shelf.settings(token="a token of enough letters"))
    assert browser.get("/api/health").json() == {"status": "ok"}


def test_the_page_is_sent_again_only_when_it_has_changed(client: TestClient):
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    again = client.get("/", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/static/js/nothing.js").status_code == 404


def test_the_page_holds_no_script_style_or_address_of_elsewhere(client: TestClient):
    files = ["/", *(f"/static/{name}" for name in ("js/main.js", "js/viewer.js", "css/base.css"))]
    for address in files:
        text = client.get(address).text.replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text
    page = client.get("/").text
    assert " style=" not in page and "<style" not in page and " onclick" not in page
    assert page.count("<script") == 1

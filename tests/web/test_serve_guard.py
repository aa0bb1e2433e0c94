"""Attacks on who may ask: other names, other sites, no token."""

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from retrieval.web.errors import ServeError
from retrieval.web.settings import LibrarySettings, Settings
from tests.web.web_shelf import API

TOKEN = "a token of enough letters"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8765",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8765",
        "192.168.1.5:8765",
        "127.0.0.1@evil.example",
        "127.0.0.1:8765/../evil",
        "[::1",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/health", API + "/photos", "/metrics"])
def test_a_strangers_domain_that_points_here_gets_nothing(client: TestClient, host: str, path: str):
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code == 403
    assert "photos" not in answer.json()


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "LOCALHOST", "[::1]:8765"])
def test_this_machines_own_names_are_served(client: TestClient, host: str):
    assert client.get(API + "/photos", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "http://localhost:8765"},
        {"Origin": "null"},
        {"Origin": "file://"},
        {"Origin": "http://["},
        {"Origin": "http://127.0.0.1:8765@evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_another_sites_page_can_neither_read_nor_do_anything(
    client: TestClient, headers: dict[str, str], method: str
):
    answer = client.request(method, API + "/indexing", headers=headers, json={"folders": []})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
    assert client.get(API + "/indexing").json()["running"] is False


def test_a_preflight_of_another_site_is_refused(client: TestClient):
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = client.options(API + "/indexing", headers=headers)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_the_page_itself_may_ask_and_links_may_open_it(client: TestClient):
    own = {"Origin": "http://127.0.0.1:8765", "Sec-Fetch-Site": "same-origin"}
    assert client.get(API + "/photos", headers=own).status_code == 200
    assert client.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


@pytest.mark.parametrize("path", [API + "/photos", "/metrics", "/api/openapi.json", "/api/nothing"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
        {"Cookie": "leanclip_8765="},
        {"Cookie": f"leanclip_8765={TOKEN}"},
        {"Cookie": 'leanclip_8765="; ,=@'},
    ],
)
def test_without_the_token_there_is_no_data(shelf, serve, path: str, headers: dict[str, str]):
    answer = serve(shelf.settings(token=TOKEN)).get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_browser_shows_the_token_once_and_keeps_a_cookie(shelf, serve):
    browser = serve(shelf.settings(token=TOKEN))
    assert browser.get("/").status_code == 200
    assert browser.get("/static/js/main.js").status_code == 200
    assert browser.get("/api/session").json() == {"needs_token": True, "is_open": False}
    wrong = browser.post("/api/session", headers={"Authorization": "Bearer something else"})
    assert (wrong.status_code, "set-cookie" in wrong.headers) == (401, False)
    right = browser.post("/api/session", headers={"Authorization": f"Bearer {TOKEN}"})
    cookie = right.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert TOKEN not in cookie
    assert browser.get(API + "/photos").status_code == 200
    assert browser.get("/api/session").json() == {"needs_token": True, "is_open": True}


def test_a_script_can_send_the_token_with_each_request(shelf, serve):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = serve(shelf.settings(token=TOKEN)).get(API + "/photos", headers=headers)
    assert answer.status_code == 200


def test_another_servers_cookie_does_not_open_this_one(shelf, serve):
    other = serve(shelf.settings(token="quite another token"))
    other.post("/api/session", headers={"Authorization": "Bearer quite another token"})
    value = next(iter(other.cookies.values()))
    headers = {"Cookie": f"leanclip_8765={value}"}
    assert (
        serve(shelf.settings(token=TOKEN)).get(API + "/photos", headers=headers).status_code == 401
    )


@pytest.mark.parametrize(
    "path", ["/", "/static/js/main.js", API + "/photos", "/nothing", "/metrics"]
)
def test_every_answer_binds_the_browser(client: TestClient, path: str):
    headers = client.get(path).headers
    policy = dict(
        part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert (policy["script-src"], policy["style-src"]) == ("'self'", "'self'")
    assert (policy["frame-ancestors"], policy["form-action"], policy["base-uri"]) == ("'none'",) * 3
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers


def test_refusals_bind_the_browser_too(client: TestClient):
    refused = client.get("/", headers={"Host": "evil.example"})
    assert "default-src 'none'" in refused.headers["content-security-policy"]
    assert refused.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/"),
        ("PUT", API + "/photos"),
        ("DELETE", API + "/photos/1"),
        ("PATCH", API + "/photos/1/file"),
        ("POST", API + "/photos/1/file"),
        ("TRACE", "/"),
        ("GET", API + "/selections"),
        ("GET", API + "/examples"),
    ],
)
def test_other_methods_do_nothing(client: TestClient, method: str, path: str):
    assert client.request(method, path).status_code == 405


def test_a_web_socket_is_closed(client: TestClient):
    with pytest.raises(WebSocketDisconnect) as closed, client.websocket_connect("/api/health"):
        pass
    assert closed.value.code == 1008


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "nas.local", "example.org"])
def test_other_machines_are_not_served_without_a_token(tmp_path, host: str):
    library = LibrarySettings("photos", tmp_path)
    with pytest.raises(ServeError, match="--token"):
        Settings((library,), host=host)
    with pytest.raises(ServeError, match="16 characters"):
        Settings((library,), host=host, token="short")
    assert Settings((library,), host=host, token=TOKEN).token == TOKEN


def test_on_the_network_addresses_and_own_names_are_served(tmp_path):
    library = LibrarySettings("photos", tmp_path)
    settings = Settings((library,), host="0.0.0.0", token=TOKEN, names=("photos.example",))
    assert all(
        settings.allows_host(host) for host in ("192.168.1.5:80", "[fe80::1]", "Photos.Example")
    )
    assert not settings.allows_host("evil.example")


def test_the_token_is_not_shown_where_settings_are(tmp_path):
    settings = Settings((LibrarySettings("photos", tmp_path),), token=TOKEN)
    assert TOKEN not in repr(settings)

"""Ten clients search over HTTP while another process indexes."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import clients
import pytest
from clients import BUSY, QUIET, Audit, Request
from fixtures.colour_bundle import make_colour_bundle


def test_ten_clients_search_while_photos_are_indexed(tmp_path: Path) -> None:
    requests, audit = clients.measured(
        tmp_path / "library",
        photos=20,
        added=100,
        clients=10,
        seconds=0.2,
        pause=0.1,
        model=str(make_colour_bundle(tmp_path / "bundle")),
    )
    assert [request.error for request in requests if request.error] == []
    assert {(request.phase, request.client) for request in requests} == {
        (phase, client) for phase in (QUIET, BUSY) for client in range(10)
    }
    assert audit.missing == []
    assert audit.rounds > 1 and audit.seen > 120
    results = clients.summarise(requests, audit)
    assert "| without indexing |" in clients.table(
        {"clients": 10, "photos": 20, "added": 100, **results}
    )


class _Forgetful(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = b'{"photos": [{"id": 7}], "next": null}' if "offset" in self.path else b"busy"
        self.send_response(200 if "offset" in self.path else 503)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def test_failures_and_missing_photos_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Forgetful)
    threading.Thread(target=server.serve_forever).start()
    address = f"127.0.0.1:{server.server_port}"
    monkeypatch.setattr(clients, "committed_photos", lambda *_: {7, 8})
    audit, done = Audit(), threading.Event()
    done.set()
    try:
        with clients._searching(address, BUSY, 2, 0.01) as requests:
            clients._audit(address, tmp_path, tmp_path, audit, done)
    finally:
        server.shutdown()
        server.server_close()
    assert (audit.rounds, audit.seen, audit.missing) == (1, 2, [8])
    assert requests
    assert all(request.error == "ValueError: 503 busy" for request in requests)
    quiet = [Request(QUIET, 0, 0.0, 5.0, "")] * 4
    busy = [Request(BUSY, 0, 0.0, 9.0, "")] * 3 + requests
    results = clients.summarise(quiet + busy, audit)
    assert results["missing"] == 1
    assert (results[BUSY]["errors"], results[BUSY]["p95_milliseconds"]) == (len(requests), 9.0)

"""``leanclip serve`` as it is typed: what it prints, refuses, and how it ends."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.colour_bundle import make_colour_bundle

from retrieval.cli.serve import page_address
from retrieval.web.settings import LibrarySettings, Settings
from tests.web.web_shelf import Shelf


@pytest.fixture
def start(shelf: Shelf) -> Iterator:
    running = []

    def start(*words: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "retrieval.cli", "serve", "--home", shelf.home, *words]
        process = subprocess.Popen(
            [str(word) for word in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell's background job ignores Ctrl-C, and its children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_it_says_where_the_page_is_and_ctrl_c_ends_it_cleanly(start):
    process = start("--port", 0)
    address = process.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:")
    port = int(address.rstrip("/").rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/api/health")
    assert connection.getresponse().read() == b'{"status":"ok"}'
    # An answer without an end must not keep the server alive.
    stream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    stream.request("GET", "/api/libraries/photos/indexing/events")
    assert stream.getresponse().readline().startswith(b"data: ")
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out, error) == (0, "", "leanclip: Ctrl-C ends the server\n")


def test_threads_do_not_spin_between_searches(start, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    # GNU's OpenMP then says on standard error what it does.
    monkeypatch.setenv("OMP_DISPLAY_ENV", "verbose")
    process = start("--port", 0)
    port = int(process.stdout.readline().strip().rstrip("/").rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/api/libraries/photos/photos?q=red")
    assert connection.getresponse().status == 200
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    counts = [line.strip() for line in error.splitlines() if "GOMP_SPINCOUNT" in line]
    assert counts and set(counts) == {"GOMP_SPINCOUNT = '0'"}


def refusal(leanclip, *words: object) -> str:
    status, out, error = leanclip("serve", *words)
    assert (status, out) == (1, "")
    assert error.startswith("leanclip: ") and error.count("\n") == 1
    return error


def test_a_port_that_is_taken_is_one_clear_line(leanclip, shelf: Shelf):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = refusal(leanclip, "--home", shelf.home, "--port", port)
    assert str(port) in error and "--port" in error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--host", "0.0.0.0"), "--token"),
        (("--host", "0.0.0.0", "--token", "short"), "16 characters"),
        (("--library", "family"), "NAME=HOME"),
        (("--library", "../x=/tmp"), "cannot be called"),
        (("--library", "photos=/tmp"), "same name"),
        (("/no/such/folder",), "no such folder"),
        (("--model", "/no/such/model"), "no model"),
        (("--host", "no such host", "--token", "x" * 16), "cannot listen"),
    ],
)
def test_what_cannot_be_served_is_one_clear_line(leanclip, tmp_path: Path, words, said: str):
    assert said in refusal(leanclip, "--home", tmp_path / "home", "--port", 0, *words)
    assert not (tmp_path / "home").exists()


def test_a_damaged_catalog_is_one_clear_line(leanclip, tmp_path: Path, shelf: Shelf):
    (tmp_path / "catalog.sqlite3").write_bytes(os.urandom(4096))
    assert "catalog.sqlite3" in refusal(
        leanclip, "--home", tmp_path, "--port", 0, "--model", shelf.bundle
    )


def test_a_damaged_model_is_one_clear_line(leanclip, tmp_path: Path):
    bundle = make_colour_bundle(tmp_path / "bundle")
    (bundle / "text.onnx").write_bytes(b"damaged")
    words = ("--home", tmp_path / "home", "--port", 0, "--model", bundle)
    assert "text.onnx" in refusal(leanclip, *words)


def test_the_token_stands_behind_the_hash_where_no_server_reads_it(tmp_path: Path):
    library = (LibrarySettings("photos", tmp_path),)
    settings = Settings(library, host="::1", port=80, token="a token of enough letters")
    assert page_address(settings) == "http://[::1]:80/#token=a token of enough letters"
    assert page_address(Settings(library, port=80)) == "http://127.0.0.1:80/"

"""A web server for tests, on this machine: it knows ranges, and can break connections."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class RangeServer(ThreadingHTTPServer):
    """Serves a folder.

    Attributes:
        breaks: After how many bytes each of the next answers stops short.
        knows_ranges: Whether it honours them.
        asked: What came in: path and Range header.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.breaks: list[int] = []
        self.knows_ranges = True
        self.asked: list[tuple[str, str | None]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: RangeServer

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append((self.path, wanted))
        file = self.server.folder / self.path.lstrip("/")
        if not file.is_file():
            self.send_error(404)
            return
        content = file.read_bytes()
        first = 0
        if wanted and self.server.knows_ranges:
            first = int(wanted.removeprefix("bytes=").split("-")[0])
            if first >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
        else:
            self.send_response(200)
        rest = content[first:]
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if self.server.breaks:
            rest = rest[: self.server.breaks.pop(0)]
        self.wfile.write(rest)

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


@contextmanager
def range_server(folder: Path) -> Iterator[RangeServer]:
    server = RangeServer(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

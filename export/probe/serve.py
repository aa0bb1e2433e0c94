"""A page and a bundle over HTTP, isolated so that the page may use threads."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""WebAssembly threads need the first two; a stored file would make a load time a lie."""


class _Handler(SimpleHTTPRequestHandler):
    extensions_map = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".onnx": "application/octet-stream",
    }

    def __init__(self, *arguments: object, folders: Mapping[str, Path]) -> None:
        self._folders = folders
        super().__init__(*arguments)  # type: ignore[arg-type]

    def translate_path(self, path: str) -> str:
        """The file of a URL; nothing outside the folders that are served."""
        place = unquote(urlsplit(path).path)
        for prefix, folder in self._folders.items():
            if place.startswith(prefix):
                found = (folder / place.removeprefix(prefix)).resolve()
                inside = found.is_relative_to(folder.resolve())
                return str(found) if inside else str(folder / "outside")
        return str(Path("/nonexistent"))

    def end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def list_directory(self, path: object) -> None:
        """Folders are not listed."""
        self.send_error(404)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing on the terminal."""


@contextmanager
def serving(folders: Mapping[str, Path]) -> Iterator[str]:
    """Serve folders on this machine alone; yield the address, which ends with a slash.

    Args:
        folders: By the start of their URLs, such as ``/bundle/``; the first that fits counts.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, folders=folders))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

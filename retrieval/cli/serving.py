"""The server behind ``leanclip serve``: its socket, and how it starts and ends."""

import contextlib
import os
import socket
import webbrowser
from types import FrameType

import uvicorn
from fastapi import FastAPI

from retrieval.cli.photos import note
from retrieval.web.errors import ServeError

# A download at hand may finish this long after Ctrl-C.
_GRACE_SECONDS = 3
_MOST_REQUESTS = 256
_BACKLOG = 128


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens already.

    Args:
        host: Name or address.
        port: 0 takes any free one.

    Raises:
        ServeError: There is no such address, or the port is taken.
    """
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        # With its protocol named, asyncio switches off the delay of small packets, which would
        # cost each answer 40 ms; `socket.create_server` leaves it out.
        listener = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            # Now, so that a second server on the port fails before it loads a model.
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ServeError(
            f"cannot listen on {host} port {port} ({reason}); choose another --port, or 0 for any"
        ) from error
    return listener


class Server(uvicorn.Server):
    """Ends at once where an answer would go on for ever, such as indexing progress.

    Args:
        app: The page and its interface.
        address: Printed once the page is there.
        open_page: Whether to open it in the browser.
    """

    def __init__(self, app: FastAPI, address: str, open_page: bool) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ws="none",
                limit_concurrency=_MOST_REQUESTS,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )
        self._served = app.state.served
        self._address = address
        self._open_page = open_page

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say where the page is, once it is there."""
        await super().startup(sockets)
        if self._served.failure is not None:
            self.should_exit = True
            return
        print(self._address, flush=True)
        note("Ctrl-C ends the server")
        if self._open_page:
            webbrowser.open(self._address)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ctrl-C, or a request of the system to end."""
        self._served.closing.set()
        super().handle_exit(sig, frame)

    def run_on(self, listener: socket.socket) -> None:
        """Serve until interrupted.

        Raises:
            LeanclipError: A library cannot be opened.
        """
        # Uvicorn ends in order and then repeats the signal, which for Ctrl-C is no failure.
        with contextlib.suppress(KeyboardInterrupt):
            self.run([listener])
        if self._served.failure is not None:
            raise self._served.failure

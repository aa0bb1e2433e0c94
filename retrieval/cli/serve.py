"""``leanclip serve``: search in the browser, on this machine."""

import contextlib
import os
import secrets
import socket
import webbrowser
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
import uvicorn
from fastapi import FastAPI

from retrieval.catalog.location import library_home
from retrieval.cli.photos import HomeOption, ModelOption, note
from retrieval.search.scan import resolved_folder
from retrieval.web.app import make_app
from retrieval.web.errors import ServeError
from retrieval.web.settings import LibrarySettings, Settings

DEFAULT_LIBRARY = "photos"
NEW_TOKEN = "auto"
# A download at hand may finish this long after Ctrl-C.
_GRACE_SECONDS = 3
_MOST_REQUESTS = 256
_BACKLOG = 128


def serve(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DIR]...", help="Folders to bring up to date meanwhile."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 8765,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="LEANCLIP_TOKEN",
            help="Secret that a browser must know; 'auto' makes one. Needed with --host.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Another name by which browsers may call this machine."),
    ] = None,
    library: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=HOME", help="One more library, by the home of its catalog."),
    ] = None,
    open_page: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = False,
    model: ModelOption = None,
    home: HomeOption = None,
) -> None:
    """Search in the browser: type, drop a photo, filter, select, download.

    Only this machine can see the page. With --host others can, and then --token is needed:
    open the printed address once on each device, a cookie does the rest. Ctrl-C ends the
    server; what was indexed is kept.

    \b
    leanclip serve
    leanclip serve ~/Pictures --open
    leanclip serve --host 0.0.0.0 --token auto
    leanclip serve --library family=/mnt/nas/leanclip
    """  # noqa: D301  (click ends re-flowing at a backspace character)
    own = LibrarySettings(
        DEFAULT_LIBRARY,
        library_home(home),
        model,
        tuple(resolved_folder(folder) for folder in folders or ()),
    )
    settings = Settings(
        libraries=(own, *(_named(one, model) for one in library or ())),
        host=host,
        port=port,
        token=secrets.token_urlsafe(24) if token == NEW_TOKEN else token,
        names=tuple(allow_host or ()),
    )
    with _listening(host, port) as listener:
        settings = replace(settings, port=listener.getsockname()[1])
        _Server(make_app(settings), page_address(settings), open_page).run_on(listener)


def page_address(settings: Settings) -> str:
    """The address of the page; a token stands where no server or proxy ever reads it."""
    host = settings.host
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    if ":" in host:
        host = f"[{host}]"
    key = f"#token={settings.token}" if settings.token else ""
    return f"http://{host}:{settings.port}/{key}"


def _named(choice: str, model: str | None) -> LibrarySettings:
    name, equals, home = choice.partition("=")
    if not equals or not home:
        raise ServeError(f"--library {choice}: write NAME=HOME, such as family=/mnt/nas/leanclip")
    return LibrarySettings(name, Path(home).expanduser(), model)


def _listening(host: str, port: int) -> socket.socket:
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


class _Server(uvicorn.Server):
    """Ends at once where an answer would go on for ever, such as indexing progress."""

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

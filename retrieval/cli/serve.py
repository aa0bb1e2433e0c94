"""``leanclip serve``: search in the browser, on this machine."""

import os
import secrets
import socket
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from retrieval.catalog.location import library_home
from retrieval.cli.options import HomeOption, ModelOption
from retrieval.web.errors import ServeError
from retrieval.web.settings import LibrarySettings, Settings

DEFAULT_LIBRARY = "photos"
NEW_TOKEN = "auto"


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
    """
    # After a search, threads of FAISS would spin for a while and keep the server's own from the
    # cores; OpenMP reads this when it is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from retrieval.search.scan import resolved_folder

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
    from retrieval.cli.serving import Server, listening
    from retrieval.web.app import make_app

    with listening(host, port) as listener:
        settings = replace(settings, port=listener.getsockname()[1])
        Server(make_app(settings), page_address(settings), open_page).run_on(listener)


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

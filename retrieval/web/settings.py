"""What is served, to whom, and how much of this machine a request may take."""

import ipaddress
import re
import socket
from dataclasses import dataclass, field
from pathlib import Path

from retrieval.web.errors import ServeError

LIBRARY_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}"
SHORTEST_TOKEN = 16


@dataclass(frozen=True, slots=True)
class LibrarySettings:
    """One library: a catalog's home under the name by which the page calls it."""

    name: str
    home: Path
    model: str | None = None
    """What `open_encoder` takes; None for the model that the catalog was filled with."""
    folders: tuple[Path, ...] = ()
    """Brought up to date when the server starts."""

    def __post_init__(self) -> None:
        if re.fullmatch(LIBRARY_NAME, self.name) is None:
            raise ServeError(
                f"a library cannot be called {self.name!r}: use letters, digits, '-', '_' and '.'"
            )


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the server is told when it starts.

    Raises:
        ServeError: Others could reach the server and no token protects it, or the token is
            too short, or two libraries have one name.
    """

    libraries: tuple[LibrarySettings, ...]
    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = field(default=None, repr=False)
    names: tuple[str, ...] = ()
    """Further names by which browsers may call this machine."""
    upload_bytes: int = 32 * 1024 * 1024
    upload_pixels: int = 64_000_000
    thumbnail_bytes: int = 2 * 1024**3
    """Of one library's thumbnails on disk; the oldest make room."""

    def __post_init__(self) -> None:
        if not is_loopback(self.host) and self.token is None:
            raise ServeError(
                f"--host {self.host} lets other machines see your photos: protect them with "
                "--token, or leave out --host"
            )
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise ServeError(f"the token is too short: give {SHORTEST_TOKEN} characters or more")
        names = [library.name for library in self.libraries]
        if len(set(names)) != len(names):
            raise ServeError("two libraries have the same name; each needs its own")

    def allows_host(self, host: str) -> bool:
        """Whether a request's ``Host`` names this machine, and not a stranger's domain.

        A web page elsewhere can make its own domain point here (DNS rebinding), but it cannot
        make a browser send an address or another machine's name.
        """
        name = host_name(host)
        if name is None:
            return False
        if is_loopback(self.host):
            return is_loopback(name) or name in self._lower(self.names)
        return _is_address(name) or name in self._lower(
            ("localhost", self.host, socket.gethostname(), f"{socket.gethostname()}.local")
            + self.names
        )

    @staticmethod
    def _lower(names: tuple[str, ...]) -> set[str]:
        return {name.lower() for name in names}


def host_name(host: str) -> str | None:
    """The name or address in a ``Host`` header, in lower case; None when it is malformed."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::\d{1,5})?", host)
    return None if found is None else (found[1] or found[2]).lower()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server there."""
    if host.lower() == "localhost":
        return True
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

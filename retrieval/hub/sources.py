"""Where a model is fetched from: an address of a folder, or a repository of a hub."""

import os
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from retrieval.hub.errors import FetchError
from retrieval.spec.bundle import MANIFEST

HUB_VARIABLE = "HF_ENDPOINT"
"""Environment variable that names another hub, as the hub's own library has it."""

_HUB = "https://huggingface.co"
_PREFIX = "hf:"
_REVISION = "main"


@dataclass(frozen=True, slots=True)
class Source:
    """A bundle somewhere else."""

    text: str
    """As the user named it, without what is not part of the place."""
    base: str
    """Address of the folder, with a slash at its end."""

    def address(self, file: str) -> str:
        """Address of one of its files, given relative to the bundle."""
        return self.base + quote(file)


def source_of(text: str) -> Source:
    """Understand what a user named.

    Args:
        text: ``https://HOST/FOLDER``, the same with ``/bundle.json``, or
            ``hf:ORG/NAME[/FOLDER][@REVISION]``.

    Raises:
        FetchError: It is none of these.
    """
    return _hub(text) if text.startswith(_PREFIX) else _folder(text)


def _folder(text: str) -> Source:
    try:
        parts = urlsplit(text)
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
        known = known and parts.port != 0  # raises when it is no number
        named = parts.username is not None
    except ValueError:
        known = named = False
    if not known:
        raise FetchError(
            f"{text} is no address of a model: write https://HOST/FOLDER or hf:ORG/NAME[@REVISION]"
        )
    if named:
        raise FetchError(
            "an address with a user's name and password would be kept in a file; download the "
            "folder by other means and name it with --model"
        )
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~").removesuffix(MANIFEST).rstrip("/")
    place = f"{parts.scheme}://{parts.netloc}{path}"
    return Source(place, f"{place}/")


def _hub(text: str) -> Source:
    repository, at, revision = text.removeprefix(_PREFIX).partition("@")
    parts = repository.strip("/").split("/")
    if len(parts) < 2 or not all(parts) or {".", ".."} & set(parts) or (at and not revision):
        raise FetchError(f"{text} is no repository: write hf:ORG/NAME or hf:ORG/NAME@REVISION")
    hub = os.environ.get(HUB_VARIABLE, _HUB).rstrip("/")
    where = "/".join(quote(part) for part in parts[:2])
    below = "".join(f"{quote(part)}/" for part in parts[2:])
    return Source(text, f"{hub}/{where}/resolve/{quote(revision or _REVISION, safe='')}/{below}")

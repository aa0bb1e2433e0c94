"""Names of files that are sent: for a header, for a zip file."""

import re
from pathlib import Path
from urllib.parse import quote

from retrieval.spec.readable import readable


def attachment(name: str) -> str:
    """The value of ``Content-Disposition`` that saves a file under a name (RFC 6266).

    Whatever the name holds, nothing of it can end the value or begin another header.
    """
    safe = _file_name(name)
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", safe)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(safe, safe='')}"


class ZipNames:
    """Names for the files of a zip, each given once, none leading out of a folder."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def name(self, path: Path) -> str:
        """The file's name; ``photo (2).jpg`` when another file already took it."""
        wanted = _file_name(readable(path.name))
        stem, dot, suffix = wanted.rpartition(".")
        if not stem:
            stem, dot, suffix = wanted, "", ""
        name, count = wanted, 1
        # Some file systems that a zip is unpacked on take upper and lower case for the same.
        while name.casefold() in self._given:
            count += 1
            name = f"{stem} ({count}){dot}{suffix}"
        self._given.add(name.casefold())
        return name


def _file_name(name: str) -> str:
    # What separates folders, or is reserved, on any system that unpacks or saves it.
    plain = re.sub(r'[/\\:*?"<>|\x00-\x1f\x7f]', "_", name).strip(" .")
    return plain or "photo"

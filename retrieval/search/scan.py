"""What lies in a folder of photos."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from retrieval.catalog.records import PhotoFile
from retrieval.spec.errors import PhotoError
from retrieval.vision.decode import is_photo_name


@dataclass(frozen=True, slots=True)
class Scan:
    """Photos below a folder, and what could not be looked at."""

    files: list[PhotoFile] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    """Folders and files that the system refused to show, and why."""


def resolved_folder(folder: Path) -> Path:
    """The one absolute name under which a folder's photos are catalogued.

    Raises:
        PhotoError: There is no such folder, or it is not a folder.
    """
    try:
        resolved = folder.expanduser().resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise PhotoError(f"{folder}: there is no such folder") from error
    if not resolved.is_dir():
        raise PhotoError(f"{folder} is not a folder; name the folder that holds your photos")
    return resolved


def scan_folder(folder: Path) -> Scan:
    """List every photo below ``folder``, in the order of their paths within each folder.

    Hidden files and folders are left out, and links to folders are not followed, so a loop
    of links cannot trap the scan. Only names and sizes are read, no content.
    """
    scan = Scan()
    pending = [folder]
    while pending:
        current = pending.pop()
        try:
            with os.scandir(current) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            scan.unreadable.append((current, _reason(error)))
            continue
        folders = [Path(e.path) for e in entries if _is_visible(e) and _is_folder(e)]
        pending.extend(reversed(folders))
        scan.files.extend(_photos(entries, scan))
    return scan


def _photos(entries: list["os.DirEntry[str]"], scan: Scan) -> Iterator[PhotoFile]:
    for entry in entries:
        if not _is_visible(entry) or not is_photo_name(Path(entry.name)) or _is_folder(entry):
            continue
        try:
            found = entry.stat()
        except OSError as error:
            scan.unreadable.append((Path(entry.path), _reason(error)))
            continue
        # Opening a pipe or a device that is called photo.jpg would wait for ever.
        if stat.S_ISREG(found.st_mode):
            yield PhotoFile(Path(entry.path), found.st_size, found.st_mtime_ns)
        else:
            scan.unreadable.append((Path(entry.path), "not a regular file"))


def _is_visible(entry: "os.DirEntry[str]") -> bool:
    return not entry.name.startswith(".")


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__

"""What lies in a folder of photos."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from retrieval.catalog.records import PhotoFile
from retrieval.search.companions import beside
from retrieval.search.rules import ScanRules
from retrieval.spec.errors import PhotoError
from retrieval.vision.decode import is_readable_name


@dataclass(frozen=True, slots=True)
class Scan:
    """Photos below a folder, and what could not be looked at."""

    files: list[PhotoFile] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    """Folders and files that the system refused to show, and why."""
    places: list[Path] = field(default_factory=list)
    """Everything that was looked at: what was asked for, and files that belong to it."""


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


def scan_folder(root: Path, rules: ScanRules, *, only: Sequence[Path] = ()) -> Scan:
    """List every photo that the rules of ``root`` let in.

    Only names and sizes are read, no content. Photos come in the order of their paths
    within each folder. A folder is read once, however many links lead to it, so a loop of
    links ends; a folder that lies there itself is preferred to a link that leads to it.

    Args:
        root: The indexed folder, which patterns are relative to.
        rules: What to leave out.
        only: Only these parts of it, folders or files. They need not exist. Files that may
            belong together with one of these files are looked at, too.
    """
    return _Walk(root, rules).scan(only or [root])


class _Walk:
    def __init__(self, root: Path, rules: ScanRules) -> None:
        self._root = root
        self._rules = rules
        self._found = Scan()
        self._folders: list[Path] = []
        self._links: list[Path] = []
        self._seen: set[tuple[int, int]] = set()
        self._device = root.stat().st_dev if rules.one_file_system else None

    def scan(self, places: Sequence[Path]) -> Scan:
        alone: dict[Path, set[str]] = {}
        for place in places:
            if place == self._root:
                self._folders.append(place)
            elif self._rules.reaches(self._relative(place)):
                if place.is_dir():
                    self._enter(place, place.is_symlink())
                else:
                    alone.setdefault(place.parent, set()).add(place.name)
        for folder, names in alone.items():
            self._take_some(folder, names)
        while self._folders or self._links:
            # Links wait until nothing else is left, so that real folders come first.
            self._read((self._folders or self._links).pop())
        # Places may lie in each other.
        files = {file.path: file for file in self._found.files}
        looked_at = dict.fromkeys([*places, *self._found.places])
        return Scan(list(files.values()), self._found.unreadable, list(looked_at))

    def _read(self, folder: Path) -> None:
        try:
            if not self._is_new(folder):
                return
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            self._found.unreadable.append((folder, _reason(error)))
            return
        # The last one is read first.
        for entry in reversed(entries):
            if _is_folder(entry):
                self._enter(Path(entry.path), entry.is_symlink())
        for entry in entries:
            if not _is_folder(entry):
                self._take(Path(entry.path))

    def _take_some(self, folder: Path, names: set[str]) -> None:
        """Take files that were named, and those that may belong together with them."""
        if not self._rules.companions:
            try:
                with os.scandir(folder) as listing:
                    there = [entry.name for entry in listing if not _is_folder(entry)]
            except (FileNotFoundError, NotADirectoryError):
                there = []
            except OSError as error:
                self._found.unreadable.append((folder, _reason(error)))
                return
            names = names | beside(there, names)
        for name in sorted(names):
            self._found.places.append(folder / name)
            self._take(folder / name)

    def _enter(self, folder: Path, is_link: bool) -> None:
        if is_link and not self._rules.follow_links:
            return
        if self._rules.enters(self._relative(folder)):
            (self._links if is_link else self._folders).append(folder)

    def _is_new(self, folder: Path) -> bool:
        if not self._rules.follow_links and self._device is None:
            return True
        found = folder.stat()
        here = (found.st_dev, found.st_ino)
        if here in self._seen or self._device not in (None, found.st_dev):
            return False
        self._seen.add(here)
        return True

    def _take(self, path: Path) -> None:
        if not is_readable_name(path) or not self._rules.reads(self._relative(path)):
            return
        try:
            found = path.stat()
        except FileNotFoundError as error:
            # A broken link is worth a word; a file that has vanished is simply not there.
            if path.is_symlink():
                self._found.unreadable.append((path, _reason(error)))
            return
        except OSError as error:
            self._found.unreadable.append((path, _reason(error)))
            return
        # Opening a pipe or a device that is called photo.jpg would wait for ever.
        if not stat.S_ISREG(found.st_mode):
            self._found.unreadable.append((path, "not a regular file"))
        elif found.st_size >= self._rules.minimum_bytes:
            self._found.files.append(PhotoFile(path, found.st_size, found.st_mtime_ns))

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether an entry is a folder or a link to one."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__

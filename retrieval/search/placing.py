"""Found photos into a folder: copied or linked, all of them or none, nothing overwritten."""

import filecmp
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Placed:
    """What lies in the folder now."""

    new: list[Path] = field(default_factory=list)
    already_there: list[Path] = field(default_factory=list)
    """Files that an earlier run had placed, so that nothing had to be done."""


def copy_photos(photos: Sequence[Path], folder: Path) -> Placed:
    """Copy photos with their times into ``folder``, which is made when there is none.

    A name that is taken gets a number, as ``beach (2).jpg``; a file of that name with the same
    content is left as it is. When one photo cannot be copied, none is.

    Raises:
        OSError: A photo cannot be read, or the folder cannot be written to.
    """
    with (
        _all_or_none(folder) as placed,
        tempfile.TemporaryDirectory(prefix=".leanclip-", dir=folder) as aside,
    ):
        copies = [Path(aside) / str(number) for number in range(len(photos))]
        for photo, copy in zip(photos, copies, strict=True):
            shutil.copy2(photo, copy)
        for photo, copy in zip(photos, copies, strict=True):
            _place(photo, folder, placed, _same_content(copy), _mover(copy))
    return placed


def link_photos(photos: Sequence[Path], folder: Path) -> Placed:
    """The same with symbolic links in place of copies, which cost no space.

    Raises:
        OSError: The folder cannot be written to, or the system makes no symbolic links.
    """
    with _all_or_none(folder) as placed:
        for photo in photos:
            target = photo.absolute()
            _place(photo, folder, placed, _links_to(target), _linker(target))
    return placed


@contextmanager
def _all_or_none(folder: Path) -> Iterator[Placed]:
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    placed = Placed()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield placed
    except BaseException:
        for path in placed.new:
            path.unlink(missing_ok=True)
        for parent in made:
            if parent.is_dir():
                parent.rmdir()
        raise


def _place(
    photo: Path,
    folder: Path,
    placed: Placed,
    is_it: Callable[[Path], bool],
    put: Callable[[Path], None],
) -> None:
    for number in count(1):
        name = photo.name if number == 1 else f"{photo.stem} ({number}){photo.suffix}"
        path = folder / name
        try:
            put(path)
        except FileExistsError:
            if path not in placed.new and is_it(path):
                placed.already_there.append(path)
                return
            continue
        placed.new.append(path)
        return


def _mover(copy: Path) -> Callable[[Path], None]:
    def move(path: Path) -> None:
        # Made by us and by nobody else before the copy takes its place.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        try:
            copy.replace(path)
        except BaseException:
            path.unlink()
            raise

    return move


def _linker(target: Path) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def _same_content(copy: Path) -> Callable[[Path], bool]:
    return lambda path: path.is_file() and filecmp.cmp(copy, path, shallow=False)


def _links_to(target: Path) -> Callable[[Path], bool]:
    return lambda path: path.is_symlink() and path.readlink() == target

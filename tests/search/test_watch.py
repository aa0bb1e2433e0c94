import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.search.indexing import watch
from retrieval.search.indexing.roots import Root
from retrieval.search.indexing.watch import Change, changes
from retrieval.search.library import Library
from retrieval.search.rules import ScanRules
from retrieval.spec.errors import MissingExtraError
from tests.fakes import ColourEncoder, save_colour


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "QUIET_MS", 50)
    monkeypatch.setattr(watch, "LOOK_MS", 150)
    monkeypatch.setattr(watch, "POLL_MS", 50)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    save_colour(tmp_path / "photos" / "red.png", "red")
    return tmp_path / "photos"


class Watching:
    """Changes of some folders, one after the other."""

    def __init__(self, *folders: Path, home: Path, poll: bool = False) -> None:
        self.stop = threading.Event()
        roots = [Root(folder, ScanRules()) for folder in folders]
        self._changes = changes(roots, ignore=home, poll=poll, stop=self.stop)

    def next(self) -> Change:
        # A test that waits for a change that never comes must end.
        timer = threading.Timer(60, self.stop.set)
        timer.start()
        try:
            return next(self._changes)
        finally:
            timer.cancel()

    def until(self, path: Path) -> Change:
        while True:
            change = self.next()
            if change.only is not None and path in change.only:
                return change


@pytest.fixture
def watching(photos: Path, tmp_path: Path) -> Iterator[Watching]:
    watching = Watching(photos, home=tmp_path / "photos" / "home")
    yield watching
    watching.stop.set()


def test_first_all_then_only_what_changed(watching: Watching, photos: Path, tmp_path: Path) -> None:
    first = watching.next()
    assert (first.root.path, first.only) == (photos, None)
    (photos / "home").mkdir()
    (photos / "home" / "catalog.png").write_bytes(b"x")
    save_colour(photos / "blue.png", "blue")
    change = watching.until(photos / "blue.png")
    assert change.only is not None
    assert photos / "home" / "catalog.png" not in change.only
    (photos / "blue.png").unlink()
    watching.until(photos / "blue.png")


def test_polling_sees_changes_too(photos: Path, tmp_path: Path) -> None:
    watching = Watching(photos, home=tmp_path / "home", poll=True)
    assert watching.next().only is None
    save_colour(photos / "blue.png", "blue")
    watching.until(photos / "blue.png")
    watching.stop.set()


def test_after_a_name_that_is_no_text_all_is_looked_at_again(
    watching: Watching, photos: Path
) -> None:
    watching.next()
    save_colour(photos / os.fsdecode(b"\xff.png"), "blue")
    while watching.next().only is not None:
        pass
    save_colour(photos / "blue.png", "blue")
    watching.until(photos / "blue.png")


def test_a_folder_that_vanishes_is_waited_for(watching: Watching, photos: Path) -> None:
    watching.next()
    aside = photos.with_name("aside")
    photos.rename(aside)
    threading.Timer(0.6, aside.rename, [photos]).start()
    while (change := watching.next()).only is not None:
        assert change.root.path == photos
    assert photos.exists()


def test_a_folder_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    late = tmp_path / "late"
    watching = Watching(late, home=tmp_path / "home")
    threading.Timer(0.3, late.mkdir).start()
    assert watching.next().only is None
    watching.stop.set()


def test_what_changes_is_indexed(watching: Watching, photos: Path, tmp_path: Path) -> None:
    with Library.open(tmp_path / "home", ColourEncoder()) as library:
        assert library.ensure_index(photos, only=watching.next().only).added == 1
        (photos / "deep").mkdir()
        shutil.move(photos / "red.png", photos / "deep" / "rose.png")
        save_colour(photos / "deep" / "blue.png", "blue")
        counted = {"moved": 0, "added": 0}
        while library.count() < 2 or not counted["moved"]:
            report = library.ensure_index(photos, only=watching.next().only)
            counted["moved"] += report.moved
        assert library.search("red", top=1)[0].path == photos / "deep" / "rose.png"
        assert library.encoder.photos_encoded == 2


def test_without_its_extra_it_says_so(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "watchfiles", None)
    with pytest.raises(MissingExtraError, match=r"leanclip\[watch\]"):
        next(changes([Root(photos, ScanRules())], ignore=photos / "home"))

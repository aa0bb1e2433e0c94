"""Renamed, moved and copied photos, remembered rules, folders that are not there."""

import hashlib
import os
import shutil
import time
from pathlib import Path

import pytest

from retrieval.search.indexing.folder import SUSPICIOUS
from retrieval.search.library import Library
from retrieval.search.rules import ScanRules
from retrieval.spec.errors import PhotoError
from tests.fakes import ColourEncoder, save_colour

COLOURS = ("red", "green", "blue", "yellow")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for colour in COLOURS:
        save_colour(tmp_path / "photos" / f"{colour}.png", colour)
    return tmp_path / "photos"


def ids(library: Library) -> dict[str, int]:
    return {hit.path.name: hit.photo_id for hit in library.search("red", top=100)}


def encoded(library: Library) -> int:
    return library.encoder.photos_encoded


def test_a_photo_that_moves_keeps_its_id_and_is_not_encoded(library: Library, photos: Path) -> None:
    library.ensure_index(photos)
    before = ids(library)
    (photos / "deep" / "er").mkdir(parents=True)
    (photos / "red.png").rename(photos / "deep" / "er" / "rose.png")
    report = library.ensure_index(photos)
    assert (report.moved, report.added, report.removed, report.unchanged) == (1, 0, 0, 3)
    assert ids(library)["rose.png"] == before["red.png"]
    assert encoded(library) == 4
    assert library.search("red", top=1)[0].path == photos / "deep" / "er" / "rose.png"


def test_a_photo_may_move_from_one_indexed_folder_to_another(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    library.ensure_index(photos)
    before = ids(library)
    shutil.move(photos / "blue.png", other / "sea.png")
    assert library.ensure_index(other).moved == 1
    assert ids(library)["sea.png"] == before["blue.png"]
    assert library.ensure_index(photos).removed == 0
    assert encoded(library) == 4


def test_copies_take_the_vector_and_live_on_their_own(library: Library, photos: Path) -> None:
    library.ensure_index(photos)
    for name in ("one.png", "two.png"):
        shutil.copyfile(photos / "red.png", photos / name)
    report = library.ensure_index(photos)
    assert (report.added, report.reused, report.moved) == (2, 2, 0)
    assert encoded(library) == 4
    hits = library.search("red", top=3)
    assert {hit.path.name for hit in hits} == {"red.png", "one.png", "two.png"}
    assert len({hit.score for hit in hits}) == 1
    assert len({hit.photo_id for hit in hits}) == 3
    (photos / "red.png").unlink()
    library.ensure_index(photos)
    assert {hit.path.name for hit in library.search("red", top=2)} == {"one.png", "two.png"}


def test_copies_within_one_run_are_encoded_once(library: Library, photos: Path) -> None:
    for number in range(5):
        shutil.copyfile(photos / "green.png", photos / f"copy {number}.png")
    report = library.ensure_index(photos)
    assert (report.added, report.reused, encoded(library)) == (9, 5, 4)


def test_thousands_of_copies_cost_no_more_each(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.ensure_index(photos)
    copies = 300
    for number in range(copies):
        shutil.copyfile(photos / "red.png", photos / f"copy {number}.png")
    read, rows = library.catalog.read, [0]

    def count(*question: object) -> list[tuple[object, ...]]:
        found = read(*question)
        rows[0] += 1 + len(found)
        return found

    monkeypatch.setattr(library.catalog, "read", count)
    assert library.ensure_index(photos).reused == copies
    assert rows[0] < 10 * copies


def test_a_name_taken_by_a_copy_is_no_vanished_photo(library: Library, photos: Path) -> None:
    """Two reds vanish; a copy of blue takes one's name as reds come back under others."""
    red = photos.parent / "red.png"
    shutil.copyfile(photos / "red.png", red)
    shutil.copyfile(red, photos / "red 2.png")
    library.ensure_index(photos)
    _, second = names = sorted(("red.png", "red 2.png"), key=ids(library).__getitem__)
    for name in names:
        (photos / name).unlink()
    library.ensure_index(photos)
    # In the order in which they are looked at: the second name is taken between two reds.
    shutil.copyfile(red, photos / "a.png")
    shutil.copyfile(photos / "blue.png", photos / second)
    shutil.copyfile(red, photos / "z.png")
    report = library.ensure_index(photos)
    assert (report.moved, report.added, report.changed) == (1, 1, 1)
    assert {hit.path.name for hit in library.search("red", top=2)} == {"a.png", "z.png"}
    assert {hit.path.name for hit in library.search("blue", top=2)} == {second, "blue.png"}
    assert library.count() == 6
    assert library.ensure_index(photos).unchanged == 6


def test_copies_of_a_damaged_file_are_each_named(library: Library, photos: Path) -> None:
    for number in range(3):
        (photos / f"bad {number}.png").write_bytes(b"no photo")
    report = library.ensure_index(photos)
    assert (report.added, len(report.skipped)) == (4, 3)


def test_a_new_time_alone_costs_no_encoding(library: Library, photos: Path) -> None:
    library.ensure_index(photos)
    before = ids(library)
    future = time.time_ns() + 10**18
    os.utime(photos / "red.png", ns=(future, future))
    os.utime(photos / "blue.png", ns=(0, 0))
    report = library.ensure_index(photos)
    assert (report.changed, report.unchanged, encoded(library)) == (0, 4, 4)
    assert ids(library) == before
    assert library.ensure_index(photos).unchanged == 4


def test_photos_that_swap_names_show_what_they_are(library: Library, photos: Path) -> None:
    library.ensure_index(photos)
    (photos / "red.png").rename(photos / "x")
    (photos / "blue.png").rename(photos / "red.png")
    (photos / "x").rename(photos / "blue.png")
    library.ensure_index(photos)
    assert library.search("red", top=1)[0].path.name == "blue.png"
    assert library.search("blue", top=1)[0].path.name == "red.png"
    assert library.count() == 4


def test_the_clock_may_go_backwards(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.ensure_index(photos)
    monkeypatch.setattr("time.time", lambda: 86_400.0)
    save_colour(photos / "white.png", "white")
    (photos / "red.png").unlink()
    report = library.ensure_index(photos)
    assert (report.added, report.removed, report.unchanged) == (1, 1, 3)
    with Library.open(library._home, ColourEncoder(seed=1), source="new") as new:
        new.ensure_index(photos)
    serving = library.catalog.serving()
    assert serving is not None and serving.model == "colour-1"


def test_the_catalog_keeps_hash_and_size(library: Library, photos: Path) -> None:
    library.ensure_index(photos)
    [(digest, width, height)] = library.catalog.read(
        "SELECT content_sha256, width, height FROM photos WHERE CAST(path AS TEXT) LIKE '%red.png'"
    )
    assert digest == hashlib.sha256((photos / "red.png").read_bytes()).digest()
    assert (width, height) == (24, 24)


def test_rules_are_remembered_and_replaced(library: Library, photos: Path) -> None:
    save_colour(photos / "sub" / "white.png", "white")
    library.ensure_index(photos, rules=ScanRules(exclude=("sub/", "blue.*")))
    assert set(ids(library)) == {"red.png", "green.png", "yellow.png"}
    save_colour(photos / "blue.2.png", "blue")
    assert library.ensure_index(photos).added == 0
    with pytest.raises(PhotoError, match="left out by the rules"):
        library.ensure_index(photos / "sub")
    report = library.ensure_index(photos, rules=ScanRules())
    assert (report.added, report.removed) == (3, 0)
    with pytest.raises(PhotoError, match="rules of its own"):
        library.ensure_index(photos / "sub", rules=ScanRules(hidden=True))
    assert library.ensure_index(photos, rules=ScanRules(include=("sub/",))).removed == 5
    assert set(ids(library)) == {"white.png"}
    # What comes back into view was kept.
    assert library.ensure_index(photos, rules=ScanRules()).unchanged == 6
    assert encoded(library) == 6


def test_only_what_is_named_is_looked_at(library: Library, photos: Path) -> None:
    library.ensure_index(photos)
    save_colour(photos / "seen" / "white.png", "white")
    save_colour(photos / "unseen.png", "white")
    (photos / "green.png").unlink()
    (photos / "red.png").unlink()
    report = library.ensure_index(
        photos, only=[photos / "seen", photos / "green.png", photos / "seen" / "white.png"]
    )
    assert (report.added, report.removed) == (1, 1)


def test_an_empty_mount_point_does_not_empty_the_index(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    first = photos / "red.png"
    for number in range(SUSPICIOUS):
        os.link(first, photos / f"{number}.png")
    library.ensure_index(photos)
    photos.rename(tmp_path / "away")
    with pytest.raises(PhotoError, match="no such folder"):
        library.ensure_index(photos)
    photos.mkdir()
    with pytest.raises(PhotoError, match="is its drive connected"):
        library.ensure_index(photos)
    assert library.count() == SUSPICIOUS + 4
    assert library.ensure_index(photos, force=True).removed == SUSPICIOUS + 4
    assert library.count() == 0

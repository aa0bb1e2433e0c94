"""Compaction, forgetting, checks and repairs."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from retrieval.catalog.catalog import CATALOG_FILE
from retrieval.catalog.upkeep import forget, photos_without_vector
from retrieval.search.library import Library
from retrieval.search.rules import ScanRules
from retrieval.search.upkeep.checks import findings
from retrieval.search.upkeep.recover import damage, put_aside
from retrieval.search.upkeep.vacuum import vacuum
from retrieval.spec.errors import CatalogError
from tests.fakes import ColourEncoder, save_colour

COLOURS = ("red", "green", "blue", "yellow", "white")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for colour in COLOURS:
        save_colour(tmp_path / "photos" / colour / f"{colour}.png", colour)
    return tmp_path / "photos"


@pytest.fixture
def library(home: Path, photos: Path) -> Iterator[Library]:
    with Library.open(home, ColourEncoder(), source="default") as library:
        library.ensure_index(photos)
        yield library


def best(library: Library, colour: str) -> str:
    return library.search(colour, top=1)[0].path.stem


def wrong(home: Path, library: Library, *, repair: bool = False) -> list[str]:
    found = findings(home, library.catalog, repair=repair)
    return [finding.text for finding in found if not finding.sound]


def vectors(home: Path) -> Path:
    [path] = (home / "vectors").glob("*.fp16")
    return path


def test_forgotten_photos_are_in_no_result_and_files_stay(library: Library, photos: Path) -> None:
    with library.catalog.writing():
        assert forget(library.catalog, photos / "red") == 1
        assert forget(library.catalog, photos / "blue" / "blue.png") == 1
        assert forget(library.catalog, photos / "nowhere") == 0
    assert library.count() == 3
    assert best(library, "red") != "red"
    assert (photos / "red" / "red.png").exists()
    assert library.ensure_index(photos).added == 2


def test_vacuum_drops_dead_rows_and_keeps_the_answers(
    library: Library, photos: Path, home: Path
) -> None:
    before = {hit.path: hit.photo_id for hit in library.search("white", top=9)}
    (photos / "red" / "red.png").unlink()
    save_colour(photos / "green" / "green.png", "blue")
    library.ensure_index(photos)
    old = vectors(home)
    assert old.stat().st_size == 6 * 64 * 2
    report = vacuum(home, library.catalog)
    assert (report.vanished, report.rows) == (1, 2)
    assert vectors(home) != old
    assert vectors(home).stat().st_size == 4 * 64 * 2
    hits = library.search("blue", top=9)
    assert {hit.path.stem for hit in hits[:2]} == {"green", "blue"}
    assert {hit.path: hit.photo_id for hit in hits}.items() <= before.items()
    assert wrong(home, library) == []
    assert library.ensure_index(photos).unchanged == 4
    assert vacuum(home, library.catalog).rows == 0


def test_vacuum_gives_space_back(library: Library, photos: Path, home: Path) -> None:
    for number in range(200):
        os.link(photos / "red" / "red.png", photos / f"{number}.png")
    library.ensure_index(photos)
    for number in range(200):
        (photos / f"{number}.png").unlink()
    library.ensure_index(photos)
    report = vacuum(home, library.catalog)
    assert report.bytes_won > 200 * 64 * 2
    assert report.bytes_after == sum(f.stat().st_size for f in home.rglob("*") if f.is_file())


def test_a_vacuum_that_fails_changes_nothing(
    library: Library, photos: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "red" / "red.png").unlink()
    library.ensure_index(photos)
    before = vectors(home).read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("retrieval.index.vectors.VectorFile.append", full)
        with pytest.raises(OSError, match="No space left"):
            vacuum(home, library.catalog)
    assert vectors(home).read_bytes() == before
    assert best(library, "green") == "green"


def test_indexing_goes_on_over_a_vacuum_by_another_process(
    library: Library, photos: Path, home: Path
) -> None:
    (photos / "red" / "red.png").unlink()
    library.ensure_index(photos)
    for number in range(70):
        save_colour(photos / f"{number}.png", (number, 250, number), size=8 + number)
    compacted = []

    def interfere(now: object) -> None:
        if not compacted and library.count() > 4:
            with Library.open(home, ColourEncoder()) as other:
                compacted.append(vacuum(home, other.catalog).rows)

    assert library.ensure_index(photos, progress=interfere).added == 70
    assert compacted == [1]
    assert wrong(home, library) == []
    assert library.count() == 74


def test_a_sound_library_has_no_findings(library: Library, home: Path) -> None:
    assert damage(home) is None
    assert wrong(home, library) == []


@pytest.mark.parametrize("repair", [False, True])
def test_lost_and_broken_vectors_are_found(
    library: Library, photos: Path, home: Path, repair: bool
) -> None:
    stored = np.fromfile(vectors(home), "<f2").reshape(-1, 64)
    stored[0] = np.nan
    stored[1] *= 3
    stored[:4].tofile(vectors(home))
    (home / "vectors" / "space-99.fp16").write_bytes(b"left")
    found = wrong(home, library, repair=repair)
    assert [text.split(": ")[-1] for text in found] == [
        "1 of 5 are missing on disk",
        "2 are not of length one",
        "nothing refers to space-99.fp16",
    ]
    if not repair:
        assert wrong(home, library) == found
        return
    assert wrong(home, library) == []
    space = library.catalog.serving()
    assert space is not None
    assert photos_without_vector(library.catalog, space) == 3
    assert library.ensure_index(photos).added == 3
    assert all(best(library, colour) == colour for colour in COLOURS)


def test_rows_at_odds_with_photos_are_found_and_mended(
    library: Library, photos: Path, home: Path
) -> None:
    library.catalog.write("PRAGMA foreign_keys = OFF")
    library.catalog.write("UPDATE vectors SET live = 0 WHERE row = 0")
    library.catalog.write("UPDATE vectors SET photo_id = 999 WHERE row = 1")
    library.catalog.write(
        "UPDATE photos SET gone_at = 1 WHERE CAST(path AS TEXT) LIKE '%white.png'"
    )
    found = wrong(home, library, repair=True)
    assert found == [
        "1 vectors belong to no photo",
        "2 vectors are shown although their photo vanished, or the reverse",
    ]
    assert wrong(home, library) == []
    library.ensure_index(photos)
    assert library.count() == 5


def damaged(home: Path, how: str) -> None:
    path = home / CATALOG_FILE
    content = bytearray(path.read_bytes())
    if how == "header":
        content[:100] = bytes(100)
    elif how == "noise":
        content[2 * 4096 :] = os.urandom(len(content) - 2 * 4096)
    else:
        del content[len(content) // 2 :]
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["header", "noise", "half"])
def test_a_damaged_catalog_is_kept_aside_and_made_again(home: Path, photos: Path, how: str) -> None:
    with Library.open(home, ColourEncoder(), source="default") as library:
        library.ensure_index(photos, rules=ScanRules(exclude=("white/",)))
    damaged(home, how)
    content = (home / CATALOG_FILE).read_bytes()
    assert damage(home)
    salvage = put_aside(home)
    assert salvage.aside.parent == home
    assert (salvage.aside / CATALOG_FILE).read_bytes() == content
    assert (salvage.aside / "vectors").is_dir()
    assert not (home / CATALOG_FILE).exists()
    for root in salvage.roots:
        assert (root.path, root.rules) == (photos, ScanRules(exclude=("white/",)))
    assert put_aside(home).aside != salvage.aside
    with Library.open(home, ColourEncoder()) as library:
        assert library.ensure_index(photos).added == 5
        assert best(library, "red") == "red"


def test_a_missing_table_is_damage(home: Path, library: Library) -> None:
    library.close()
    with sqlite3.connect(home / CATALOG_FILE) as connection:
        connection.execute("DROP TABLE vectors")
    assert damage(home) == "the table vectors is missing"
    salvage = put_aside(home)
    assert [root.path.name for root in salvage.roots] == ["photos"]
    assert salvage.source == "default"


def test_another_programs_database_is_no_damage(home: Path) -> None:
    home.mkdir()
    with sqlite3.connect(home / CATALOG_FILE) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(CatalogError, match="another program"):
        damage(home)

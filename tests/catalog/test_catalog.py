import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from retrieval.catalog.catalog import CATALOG_FILE, Catalog, Rows
from retrieval.catalog.filters import PhotoFilter, rows_matching
from retrieval.catalog.location import library_home
from retrieval.catalog.records import FoundPhoto, PhotoFile, Space, range_below, to_bytes, to_path
from retrieval.catalog.schema import SCHEMA
from retrieval.spec.errors import CatalogError


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog.open(tmp_path / "home" / CATALOG_FILE)


@pytest.fixture
def space(catalog: Catalog) -> Space:
    return catalog.ensure_space("print-a", "model a", "default", 8)


def add(catalog: Catalog, space: Space, name: str, *, mtime_ns: int = 1) -> int:
    with catalog.writing():
        row = catalog.row_count(space)
        return catalog.record_photo(PhotoFile(Path(name), 10, mtime_ns), space, row)


def below(folder: str, catalog: Catalog, space: Space) -> Rows:
    return rows_matching(PhotoFilter(folders=(Path(folder),)), catalog, space)


def live(catalog: Catalog, space: Space) -> set[int]:
    return set(range(catalog.row_count(space))) - set(catalog.excluded_rows(space).tolist())


def test_opening_again_finds_what_was_committed(catalog: Catalog, space: Space) -> None:
    photo = add(catalog, space, "/p/a.jpg")
    catalog.close()
    with Catalog.open(catalog.path) as again:
        assert again.photos_at([0], space) == {0: FoundPhoto(photo, Path("/p/a.jpg"), None)}


def test_a_failed_transaction_leaves_nothing(catalog: Catalog, space: Space) -> None:
    with pytest.raises(ZeroDivisionError), catalog.writing():
        catalog.record_photo(PhotoFile(Path("/p/a.jpg"), 10, 1), space, 0)
        raise ZeroDivisionError
    assert catalog.row_count(space) == 0
    assert not catalog.known_photos(Path("/p"), space)


def test_ids_are_never_used_twice(catalog: Catalog, space: Space) -> None:
    first = add(catalog, space, "/p/a.jpg")
    with catalog.writing():
        catalog.write("DELETE FROM vectors")
        catalog.write("DELETE FROM photos")
    assert add(catalog, space, "/p/b.jpg") > first


def test_new_content_buries_the_old_vectors_of_every_model(catalog: Catalog, space: Space) -> None:
    other = catalog.ensure_space("print-b", "model b", None, 4)
    photo = add(catalog, space, "/p/a.jpg")
    add(catalog, other, "/p/a.jpg")
    assert live(catalog, space) == live(catalog, other) == {0}
    assert add(catalog, space, "/p/a.jpg", mtime_ns=2) == photo
    assert live(catalog, space) == {1}
    assert live(catalog, other) == set()


def test_a_vanished_photo_comes_back_with_its_vector(catalog: Catalog, space: Space) -> None:
    photo = add(catalog, space, "/p/a.jpg")
    with catalog.writing():
        catalog.mark_gone([photo])
    assert live(catalog, space) == set()
    assert below("/p", catalog, space).tolist() == []
    with catalog.writing():
        catalog.restore([photo])
    assert below("/p", catalog, space).tolist() == [0]


def test_a_folder_is_not_its_neighbour_of_similar_name(catalog: Catalog, space: Space) -> None:
    for name in ("/p/a.jpg", "/p/sub/b.jpg", "/p2/c.jpg", "/p-1/d.jpg", "/p.jpg"):
        add(catalog, space, name)
    assert below("/p", catalog, space).tolist() == [0, 1]
    assert len(below("/", catalog, space)) == 5


def test_names_that_are_no_text_survive(catalog: Catalog, space: Space) -> None:
    name = to_path(b"/p/\xff\xfe broken\nline.jpg")
    add(catalog, space, os.fspath(name))
    [found] = catalog.photos_at([0], space).values()
    assert to_bytes(found.path) == b"/p/\xff\xfe broken\nline.jpg"
    low, high = range_below(Path("/p"))
    assert low < to_bytes(found.path) < high


def test_the_last_model_made_whole_serves(catalog: Catalog, space: Space) -> None:
    add(catalog, space, "/p/a.jpg")
    assert catalog.mark_if_whole(space)
    new = catalog.ensure_space("print-b", "model b", None, 4)
    assert not catalog.mark_if_whole(new)
    assert catalog.serving() is not None and catalog.serving().id == space.id
    add(catalog, new, "/p/a.jpg")
    assert catalog.mark_if_whole(new)
    assert catalog.serving().id == new.id
    assert catalog.mark_if_whole(space)
    assert catalog.serving().id == space.id


def test_a_fingerprint_with_another_length_is_refused(catalog: Catalog, space: Space) -> None:
    with pytest.raises(CatalogError, match="length 16"):
        catalog.ensure_space(space.fingerprint, space.model, None, 16)


def test_many_rows_are_looked_up_at_once(catalog: Catalog, space: Space) -> None:
    add(catalog, space, "/p/a.jpg")
    assert list(catalog.photos_at(range(100_000), space)) == [0]


def test_folders_inside_an_indexed_one_belong_to_it(catalog: Catalog) -> None:
    for folder in ("/p/sub", "/p", "/p/other", "/q"):
        catalog.record_root(Path(folder))
    assert [folder.path for folder in catalog.folders()] == [Path("/p"), Path("/q")]


def test_a_folder_keeps_its_rules_and_when_it_was_read(catalog: Catalog) -> None:
    catalog.record_root(Path("/p"), '{"hidden":true}')
    [root] = catalog.roots()
    assert (root.indexed_at, root.rules) == (0, '{"hidden":true}')
    catalog.mark_root_read(Path("/p"))
    catalog.record_root(Path("/p"), "{}")
    [folder] = catalog.folders()
    assert folder.indexed_at > 0
    assert folder.rules == "{}"


def test_a_newer_catalog_is_refused(catalog: Catalog) -> None:
    catalog.close()
    with sqlite3.connect(catalog.path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    with pytest.raises(CatalogError, match="newer leanclip.*pip install --upgrade"):
        Catalog.open(catalog.path)


def test_another_programs_database_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / CATALOG_FILE
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(CatalogError, match="another program"):
        Catalog.open(path)
    assert path.read_bytes() == before


def test_a_damaged_catalog_is_named(tmp_path: Path) -> None:
    path = tmp_path / CATALOG_FILE
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(CatalogError, match=r"catalog\.sqlite3 is damaged"):
        Catalog.open(path)


def test_processes_may_make_the_catalog_at_once(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from retrieval.catalog.catalog import Catalog\n"
        "while time.time() < float(sys.argv[1]): pass\n"
        "for path in sys.argv[2:]: Catalog.open(Path(path)).ensure_space('f', 'm', None, 4)"
    )
    paths = [tmp_path / str(number) / CATALOG_FILE for number in range(20)]
    together = str(time.time() + 1)
    command = [sys.executable, "-c", script, together, *map(str, paths)]
    running = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(300) for process in running] == [0] * 4
    for path in paths:
        with Catalog.open(path) as catalog:
            assert len(catalog.spaces()) == 1


def test_home_is_chosen_by_option_then_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEANCLIP_HOME", "/from/variable")
    assert library_home(Path("/chosen")) == Path("/chosen")
    assert library_home() == Path("/from/variable")
    monkeypatch.delenv("LEANCLIP_HOME")
    assert library_home().name == "leanclip"

"""One folder with very many files: what the benchmark counts, and that a scan is whole."""

from pathlib import Path

import many_files
import pytest
from kill_indexing import MeanColour
from many_files import AGAIN, CHANGED, FIRST, SCAN

from retrieval.search.library import Library
from retrieval.search.rules import ScanRules
from retrieval.search.scan import scan_folder

FILES = 60


def test_each_step_counts_what_is_there(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    many_files.make_files(photos, FILES)
    raw = [{"turn": 0, **row} for row in many_files.steps(tmp_path / "home", photos)]
    assert [row["step"] for row in raw] == [SCAN, FIRST, AGAIN, CHANGED]
    printed = many_files.table({"files": FILES, **many_files.summarise(raw)})
    assert printed.count("\n") == 5


def test_a_wrong_count_is_noticed(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    many_files.make_files(photos, FILES)
    with Library.open(tmp_path / "home", MeanColour()) as library:
        library.ensure_index(photos)
    with pytest.raises(RuntimeError, match=f"'added': {FILES}"):
        many_files._step(FIRST, tmp_path / "home", photos, {"added": FILES, "unchanged": 0})


def test_a_folder_with_very_many_names_is_listed_whole_and_in_order(tmp_path: Path) -> None:
    names = [f"{number:05}.jpg" for number in range(20_000)]
    for name in names:
        (tmp_path / name).touch()
    scan = scan_folder(tmp_path, ScanRules())
    assert [file.path.name for file in scan.files] == names
    assert scan.unreadable == []

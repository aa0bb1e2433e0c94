"""The tables of docs/reliability.md are what the benchmarks wrote, and what it names exists."""

import re

import pytest
import reliability
from figures import REPOSITORY

PAGE = reliability.PAGE.read_text("utf-8")


def test_the_tables_are_those_that_were_measured() -> None:
    assert reliability.filled(PAGE) == PAGE, "run python data/benchmarks/reliability.py"


@pytest.mark.parametrize("path", sorted(set(re.findall(r"(?:tests|data)/[\w/]+\.py", PAGE))))
def test_what_the_page_names_exists(path: str) -> None:
    assert (REPOSITORY / path).is_file()


def test_a_table_is_put_in_its_place_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    stamp = {"machine": "a machine", "date": "2030-01-02T03:04:05", "statistic": "3 kills"}
    results = {
        "kills": 3,
        "last_heard_before_the_end": {"committed": 2, "finished": 1},
        "batches_reported_before_the_kill": 5,
    }
    measured = {"kill_indexing": {"stamp": stamp, "results": results}}
    monkeypatch.setattr(reliability, "measured", measured.get)
    page = reliability.filled(PAGE)
    assert "| committed | 2 | 0 |" in page
    assert "a machine, 2030-01-02; 3 kills." in page
    assert reliability.filled(page) == page
    monkeypatch.setattr(reliability, "measured", lambda name: None)
    assert reliability.filled(page).count("| committed |") == 0


def test_a_page_without_places_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the table of kill_indexing"):
        reliability.filled("# Nothing")

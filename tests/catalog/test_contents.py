"""Photos known by their content."""

from pathlib import Path

import pytest

from retrieval.catalog.catalog import CATALOG_FILE, Catalog
from retrieval.catalog.contents import twins
from retrieval.catalog.records import PhotoDetails, PhotoFile

PHOTOS = 3_000


@pytest.fixture
def catalog(tmp_path):
    with Catalog.open(tmp_path / CATALOG_FILE) as opened:
        space = opened.ensure_space("fingerprint", "model", "source", 4)
        with opened.writing():
            for number in range(PHOTOS):
                file = PhotoFile(Path(f"/photos/{number}.jpg"), 1, 0)
                details = PhotoDetails(content_sha256=content(number))
                opened.record_photo(file, space, number, details=details)
        yield opened


def content(number):
    return number.to_bytes(32)


def steps(catalog, call):
    """What SQLite's machine has done for a call, in hundreds of instructions."""
    count = 0

    def step():
        nonlocal count
        count += 1

    catalog._connection.set_progress_handler(step, 100)
    found = call()
    catalog._connection.set_progress_handler(None, 0)
    return found, count


def test_a_photo_is_found_by_its_content_without_walking_over_the_others(catalog):
    space = catalog.space("fingerprint")
    [twin], work = steps(catalog, lambda: twins(catalog, space, content(7)))
    assert (twin.path.name, twin.rows) == ("7.jpg", (7,))
    # One walk over all photos is 150 times a hundred instructions or more.
    assert work < 10

from pathlib import Path

import pytest

from retrieval.catalog.catalog import CATALOG_FILE, Catalog
from retrieval.catalog.filters import GeoBox, PhotoFilter, newest_photos, rows_matching
from retrieval.catalog.records import PhotoDetails, PhotoFile, Space

PHOTOS = {
    "/p/oslo.jpg": PhotoDetails(
        taken_at=1_000, camera="Canon EOS R5", latitude=59.9, longitude=10.7
    ),
    "/p/fiji.HEIC": PhotoDetails(
        taken_at=2_000, camera="Apple iPhone", latitude=-17.8, longitude=178
    ),
    "/p/trip/samoa.png": PhotoDetails(taken_at=3_000, latitude=-13.8, longitude=-171.8),
    "/q/screenshot.png": PhotoDetails(),
}


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog.open(tmp_path / CATALOG_FILE)


@pytest.fixture
def space(catalog: Catalog) -> Space:
    space = catalog.ensure_space("print-a", "model a", "default", 8)
    with catalog.writing():
        for row, (name, details) in enumerate(PHOTOS.items()):
            file = PhotoFile(Path(name), 10, mtime_ns=1_700_000_000 * 10**9)
            catalog.record_photo(file, space, row, details=details)
    return space


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [
        (PhotoFilter(), {0, 1, 2, 3}),
        (PhotoFilter(folders=(Path("/p"),)), {0, 1, 2}),
        (PhotoFilter(folders=(Path("/p/trip"), Path("/q"))), {2, 3}),
        (PhotoFilter(after=2_000, before=3_000), {1}),
        # A photo without a date has that of its file.
        (PhotoFilter(after=1_600_000_000), {3}),
        (PhotoFilter(suffixes=(".heic", ".jpg")), {0, 1}),
        (PhotoFilter(camera="iphone"), {1}),
        (PhotoFilter(near=GeoBox(50, 0, 70, 20)), {0}),
        # From Fiji to Samoa, across the date line.
        (PhotoFilter(near=GeoBox(-20, 170, -10, -170)), {1, 2}),
        (PhotoFilter(after=1_500, camera="canon"), set()),
    ],
)
def test_photos_fulfil_all_that_is_asked(
    catalog: Catalog, space: Space, wanted: PhotoFilter, rows: set[int]
) -> None:
    assert set(rows_matching(wanted, catalog, space).tolist()) == rows


def test_photos_that_vanished_match_nothing(catalog: Catalog, space: Space) -> None:
    [found] = catalog.photos_at([1], space).values()
    with catalog.writing():
        catalog.mark_gone([found.id])
    assert rows_matching(PhotoFilter(camera="iphone"), catalog, space).size == 0


def test_only_a_filter_that_asks_something_is_true() -> None:
    assert not PhotoFilter()
    assert PhotoFilter(after=0)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("trip", {2}),
        ("TRIP", {2}),
        ("p", {0, 1, 2}),
        ("p/trip", {2}),
        ("tri", set()),
        ("oslo.jpg", set()),
    ],
)
def test_folders_by_their_names(catalog: Catalog, space: Space, name: str, rows: set[int]) -> None:
    wanted = PhotoFilter(folder_names=(Path(name),))
    assert set(rows_matching(wanted, catalog, space).tolist()) == rows
    either = PhotoFilter(folders=(Path("/q"),), folder_names=(Path(name),))
    assert set(rows_matching(either, catalog, space).tolist()) == rows | {3}


def test_the_newest_come_first(catalog: Catalog, space: Space) -> None:
    def names(*filters: PhotoFilter, top: int = 9, skip: int = 0) -> list[str]:
        found = newest_photos(filters, catalog, space, top=top, skip=skip)
        return [photo.path.stem for photo in found]

    assert names() == ["screenshot", "samoa", "fiji", "oslo"]
    assert names(top=2, skip=1) == ["samoa", "fiji"]
    below, early = PhotoFilter(folders=(Path("/p"),)), PhotoFilter(before=3_000)
    assert names(below, early) == ["fiji", "oslo"]
    [oldest] = newest_photos([early, below], catalog, space, top=1, skip=1)
    assert oldest.taken_at == 1_000


def test_a_video_is_one_photo_among_the_newest(catalog: Catalog, space: Space) -> None:
    with catalog.writing():
        file = PhotoFile(Path("/v/film.mp4"), 10, mtime_ns=1_800_000_000 * 10**9)
        catalog.record_photo(file, space, 4, moments=(0, 1_000, 2_000))
    found = newest_photos([], catalog, space, top=2)
    assert [photo.path.name for photo in found] == ["film.mp4", "screenshot.png"]

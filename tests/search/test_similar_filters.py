"""Photos that look like one, of a kind that is asked for; and masks that follow the catalog."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.catalog import filters
from retrieval.catalog.filters import PhotoFilter
from retrieval.search import masks
from retrieval.search.filtering import parse_filter
from retrieval.search.library import Library
from retrieval.spec.errors import QueryError
from tests.fakes import ColourEncoder, save_colour


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three blues: in two folders, of two types, of two years."""
    folder = tmp_path / "photos"
    for name, year in (("home/a.png", 2001), ("trip/b.png", 2011), ("trip/c.jpg", 2021)):
        path = save_colour(folder / name, "blue")
        os.utime(path, (seconds := (year - 1970) * 31_557_600, seconds))
    return folder


@pytest.fixture
def library(tmp_path: Path, photos: Path) -> Iterator[Library]:
    with Library.open(tmp_path / "home", ColourEncoder()) as library:
        library.ensure_index(photos)
        yield library


def names(hits: list) -> list[str]:
    return sorted(hit.path.name for hit in hits)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("", ["b.png", "c.jpg"]),
        ("in:trip", ["b.png", "c.jpg"]),
        ("in:trip type:png", ["b.png"]),
        ("after:2015", ["c.jpg"]),
        ("before:2015 type:jpeg", []),
        (PhotoFilter(suffixes=(".jpg",)), ["c.jpg"]),
    ],
)
def test_similar_photos_fulfil_a_filter(
    library: Library, photos: Path, asked: str | PhotoFilter, found: list[str]
) -> None:
    assert names(library.similar(photos / "home" / "a.png", filter=asked)) == found


def test_a_filter_and_a_folder_must_both_hold(library: Library, photos: Path) -> None:
    like = photos / "trip" / "b.png"
    assert names(library.similar(like, folder=photos / "trip", filter="type:png")) == []
    assert names(library.similar(like, folder=photos / "home", filter="type:png")) == ["a.png"]


@pytest.mark.parametrize("text", ["red in:trip", "in:trip - red", '"in:trip"'])
def test_a_filter_holds_nothing_else(text: str) -> None:
    with pytest.raises(QueryError, match="leave out words and photos"):
        parse_filter(text)


def test_a_filter_that_makes_no_sense_is_refused(library: Library, photos: Path) -> None:
    with pytest.raises(QueryError, match="after:2023-05"):
        library.similar(photos / "home" / "a.png", filter="after:yesterday")


def test_a_filter_is_looked_up_once_until_the_catalog_changes(
    library: Library, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def counted(wanted: PhotoFilter, *rest: object) -> object:
        asked.append(wanted)
        return filters.rows_matching(wanted, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(masks, "rows_matching", counted)
    for _ in range(3):
        assert names(library.search("blue in:trip")) == ["b.png", "c.jpg"]
        assert names(library.similar(photos / "home" / "a.png", filter="in:trip")) != []
    assert len(asked) == 1
    save_colour(photos / "trip" / "d.png", "blue")
    with Library.open(tmp_path / "home", ColourEncoder()) as other:
        other.ensure_index(photos)
    assert names(library.search("blue in:trip")) == ["b.png", "c.jpg", "d.png"]
    (photos / "trip" / "b.png").unlink()
    library.ensure_index(photos)
    assert names(library.search("blue in:trip")) == ["c.jpg", "d.png"]
    assert len(asked) == 3


def test_what_one_search_leaves_out_the_next_one_finds(library: Library, photos: Path) -> None:
    library.similar(photos / "trip" / "b.png", filter="in:trip")
    assert names(library.search("blue in:trip")) == ["b.png", "c.jpg"]


def test_only_the_last_masks_are_kept(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masks, "_KEPT", 2)
    for place in range(4):
        assert names(library.search(f"blue after:{1990 + place}")) == ["a.png", "b.png", "c.jpg"]
    assert len(library._masks._kept) == 2

import os
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from retrieval.search.hit import Hit
from retrieval.search.sheet import Section, write_contact_sheet
from retrieval.search.sheet.layout import balanced_rows
from retrieval.spec.errors import QueryError
from tests.fakes import save_colour


@pytest.fixture
def sections(tmp_path: Path) -> list[Section]:
    hits = []
    for number, (width, height) in enumerate([(90, 60), (60, 90), (60, 60), (600, 40), (10, 800)]):
        path = tmp_path / f"<{number}> & 'photo'.png"
        Image.new("RGB", (width, height), (200, 30 * number, 40)).save(path)
        hits.append(Hit(path, 0.3 - 0.1 * number, number))
    odd = save_colour(tmp_path / os.fsdecode(b"\xff\n.png"), "blue")
    hits += [Hit(odd, -0.2, 5), Hit(tmp_path / "gone.jpg", -0.3, 6)]
    return [Section("<script>alert(1)</script> 犬 \udcff", hits), Section("nothing", [])]


class Outline(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_holds_all_it_needs(tmp_path: Path, sections: list[Section]) -> None:
    write_contact_sheet(tmp_path / "sheet.html", sections)
    page = (tmp_path / "sheet.html").read_text("utf-8")
    outline = Outline()
    outline.feed(page)
    tags = [tag for tag, _ in outline.tags]
    assert tags.count("section") == 2
    assert tags.count("figure") == 7
    assert "script" not in tags
    sources = [attributes["src"] for tag, attributes in outline.tags if tag == "img"]
    assert len(sources) == 6
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    links = [attributes["href"] for tag, attributes in outline.tags if tag == "a"]
    assert all(link.startswith("file:///") for link in links)
    assert not re.search(r"https?://", page)
    assert "can no longer be read" in page
    assert "Nothing was found." in page
    assert "犬" in page


def test_the_picture_shows_every_photo(tmp_path: Path, sections: list[Section]) -> None:
    write_contact_sheet(tmp_path / "sheet.png", sections)
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB")).reshape(-1, 3).astype(int)
    assert sheet.width == 1600
    for number in range(5):
        near = np.abs(pixels - (200, 30 * number, 40)).max(axis=1) <= 2
        assert near.sum() > 5000


def test_a_small_sheet_gives_six_photos_of_any_shape_one_row(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(6)]
    for path in paths:
        Image.new("RGB", (240, 80), (200, 30, 40)).save(path)
    hits = [Hit(path, 0.5, number) for number, path in enumerate(paths)]
    heights = []
    for count in (3, 6):
        sections = [Section("red", hits[:count])] * 4
        write_contact_sheet(tmp_path / "sheet.jpg", sections, small=True)
        with Image.open(tmp_path / "sheet.jpg") as sheet:
            assert sheet.format == "JPEG"
            heights.append(sheet.height)
            pixels = np.asarray(sheet).reshape(-1, 3).astype(int)
        assert (np.abs(pixels - (200, 30, 40)).max(axis=1) <= 8).sum() > 50_000
    assert heights[1] < heights[0]


def test_a_sheet_too_high_for_jpeg_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sections: list[Section]
) -> None:
    monkeypatch.setattr("retrieval.search.sheet.picture._HIGHEST_JPEG", 500)
    with pytest.raises(QueryError, match=r"too much for JPEG: name it \.png or \.html"):
        write_contact_sheet(tmp_path / "sheet.jpg", sections)
    assert not list(tmp_path.glob("*sheet*"))


@pytest.mark.parametrize("name", ["sheet.html", "sheet.png", "sheet.jpg"])
def test_a_failed_sheet_leaves_the_earlier_one(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, sections: list[Section]
) -> None:
    (tmp_path / name).write_text("earlier")
    before = sorted(tmp_path.iterdir())

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError):
        write_contact_sheet(tmp_path / name, sections)
    assert (tmp_path / name).read_text() == "earlier"
    assert sorted(tmp_path.iterdir()) == before


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match=r"must end in \.html, \.png or \.jpg"):
        write_contact_sheet(tmp_path / "sheet.pdf", [])


@given(st.lists(st.floats(0.6, 2.4), max_size=60))
def test_rows_hold_every_photo_once_and_none_is_overfull(aspects: list[float]) -> None:
    counts = balanced_rows(aspects)
    assert sum(counts) == len(aspects)
    assert all(counts)
    start = 0
    for count in counts:
        # A row may exceed its share by half a photo at either end.
        assert sum(aspects[start : start + count]) <= 6.2 + 2.4 + 1e-6
        start += count


def test_eight_squares_make_two_rows_of_four() -> None:
    assert balanced_rows([1.0] * 8) == [4, 4]
    assert balanced_rows([1.5] * 4) == [4]
    assert balanced_rows([]) == []

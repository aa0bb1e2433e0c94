"""A RAW file beside its JPEG, a Live Photo's video beside its HEIC: shown once."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.colour_bundle import make_colour_bundle

from retrieval.catalog.records import PhotoFile
from retrieval.search.companions import MOST_LIVE_BYTES, beside, without_companions
from retrieval.search.library import Library
from retrieval.search.rules import ScanRules
from retrieval.search.scan import scan_folder
from tests.fakes import COLOURS, save_colour
from tests.fixtures.raw_files import dng

pytest.importorskip("av")
pytest.importorskip("rawpy")

from tests.fixtures.videos import plain, write_video


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name, colour in (("IMG_1", "red"), ("IMG_2", "green")):
        save_colour(folder / f"{name}.JPG", colour)
    (folder / "IMG_1.DNG").write_bytes(raw("red"))
    film = write_video(tmp_path / "film.mov", [plain(COLOURS["green"])])
    film.rename(folder / "IMG_2.MOV")
    (folder / "IMG_1.AAE").write_text("<plist/>")
    return folder


def raw(colour: str) -> bytes:
    return dng(plain(COLOURS[colour]), plain(COLOURS[colour], (320, 200)))


def shown(library: Library) -> list[str]:
    return sorted(hit.path.name for hit in library.search("red", top=99))


def left(*names: str, damaged: str = "", size: int = 1) -> list[str]:
    files = [PhotoFile(Path("/p") / name, size, 0) for name in names]
    found = without_companions(files, lambda file: file.path.name == damaged)
    return [str(file.path.relative_to("/p")) for file in found]


@pytest.mark.parametrize(
    ("names", "stay"),
    [
        (["a.CR3", "a.JPG", "a.MOV"], ["a.JPG"]),
        (["a.heic", "a.mov", "a.jpeg"], ["a.heic", "a.jpeg"]),
        (["a.cr2", "a.mov"], ["a.cr2", "a.mov"]),
        (["a.nef", "a.tif", "a.png"], ["a.nef", "a.tif", "a.png"]),
        (["a.jpg", "a.mp4", "a.avi"], ["a.jpg", "a.mp4", "a.avi"]),
        (["raw/a.cr2", "a.jpg"], ["raw/a.cr2", "a.jpg"]),
        (["a.cr2", "a.b.jpg", "A.jpg"], ["a.cr2", "a.b.jpg", "A.jpg"]),
    ],
)
def test_a_jpeg_or_heic_of_the_same_name_stands_for_them(names: list[str], stay: list[str]) -> None:
    assert left(*names) == stay


def test_a_film_is_no_live_photo() -> None:
    names = ("a.jpg", "a.mov")
    assert left(*names, size=MOST_LIVE_BYTES) == ["a.jpg"]
    assert left(*names, size=MOST_LIVE_BYTES + 1) == ["a.jpg", "a.mov"]


def test_a_damaged_photo_stands_for_nothing() -> None:
    assert left("a.jpg", "a.dng", damaged="a.jpg") == ["a.jpg", "a.dng"]
    assert left("a.jpg", "a.heic", "a.dng", damaged="a.jpg") == ["a.jpg", "a.heic"]


def test_what_may_belong_to_a_changed_file() -> None:
    there = {"a.jpg", "a.cr2", "a.txt", "b.jpg", "ab.jpg"}
    assert beside(there, {"a.jpg", "b.txt"}) == {"a.jpg", "a.cr2"}


def test_pairs_are_shown_once(library: Library, photos: Path) -> None:
    report = library.ensure_index(photos)
    assert (report.added, report.companions, report.skipped) == (2, 2, [])
    assert shown(library) == ["IMG_1.JPG", "IMG_2.JPG"]
    assert library.ensure_index(photos).unchanged == 2


def test_both_are_shown_when_wanted(library: Library, photos: Path) -> None:
    library.ensure_index(photos, rules=ScanRules(companions=True))
    both = ["IMG_1.DNG", "IMG_1.JPG", "IMG_2.JPG", "IMG_2.MOV"]
    assert shown(library) == both
    assert library.ensure_index(photos).unchanged == 4
    assert library.ensure_index(photos, rules=ScanRules()).removed == 2
    assert shown(library) == ["IMG_1.JPG", "IMG_2.JPG"]


@pytest.mark.parametrize("rules", [{"exclude": ("*.JPG",)}, {"include": ("*.DNG", "*.MOV")}])
def test_a_photo_that_the_rules_leave_out_stands_for_nothing(
    library: Library, photos: Path, rules: dict[str, tuple[str, ...]]
) -> None:
    library.ensure_index(photos, rules=ScanRules(**rules))
    assert shown(library) == ["IMG_1.DNG", "IMG_2.MOV"]


@pytest.mark.parametrize("watched", [False, True])
def test_what_stays_behind_comes_in_and_goes_again(
    library: Library, photos: Path, watched: bool
) -> None:
    """As a whole, and as `leanclip watch` does it, which names the files that changed."""
    library.ensure_index(photos)
    jpegs = [photos / "IMG_1.JPG", photos / "IMG_2.JPG"]
    only = jpegs if watched else None
    for jpeg in jpegs:
        jpeg.rename(jpeg.with_suffix(".aside"))
    report = library.ensure_index(photos, only=only)
    assert (report.added, report.removed) == (2, 2)
    assert shown(library) == ["IMG_1.DNG", "IMG_2.MOV"]
    encoded = library.encoder.photos_encoded
    for jpeg in jpegs:
        jpeg.with_suffix(".aside").rename(jpeg)
    assert library.ensure_index(photos, only=only).removed == 2
    assert shown(library) == ["IMG_1.JPG", "IMG_2.JPG"]
    assert library.encoder.photos_encoded == encoded


def test_a_changed_raw_file_stays_behind_its_jpeg(library: Library, photos: Path) -> None:
    library.ensure_index(photos)
    (photos / "IMG_1.DNG").write_bytes(raw("blue"))
    save_colour(photos / "IMG_3.JPG", "blue")
    (photos / "IMG_3.DNG").write_bytes(raw("blue"))
    report = library.ensure_index(photos, only=[photos / "IMG_1.DNG", photos / "IMG_3.DNG"])
    assert (report.added, report.changed, report.removed) == (1, 0, 0)
    assert shown(library) == ["IMG_1.JPG", "IMG_2.JPG", "IMG_3.JPG"]


def test_the_raw_file_of_a_damaged_jpeg_comes_in(library: Library, photos: Path) -> None:
    (photos / "IMG_1.JPG").write_bytes(b"no photo")
    library.ensure_index(photos)
    report = library.ensure_index(photos)
    assert (report.added, [path.name for path, _ in report.skipped]) == (1, ["IMG_1.JPG"])
    assert shown(library) == ["IMG_1.DNG", "IMG_2.JPG"]
    save_colour(photos / "IMG_1.JPG", "red")
    library.ensure_index(photos)
    assert shown(library) == ["IMG_1.JPG", "IMG_2.JPG"]


def test_a_locked_folder_changes_nothing(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.ensure_index(photos)

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refuse)
    report = library.ensure_index(photos, only=[photos / "IMG_1.DNG", photos / "IMG_2.JPG"])
    assert (report.added, report.removed) == (0, 0)
    assert report.skipped == [(photos, "Permission denied")]


def test_many_changes_in_a_folder_list_it_once(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir, listed = os.scandir, []
    monkeypatch.setattr("os.scandir", lambda path: (listed.append(path), scandir(path))[1])
    scan = scan_folder(photos, ScanRules(), only=[photos / "IMG_1.JPG", photos / "IMG_2.JPG"])
    assert listed == [photos]
    assert len(scan.files) == len(scan.places) == 4


def test_the_command_reads_both_when_told_and_remembers_it(
    leanclip: Callable[..., tuple[int, str, str]], photos: Path, tmp_path: Path
) -> None:
    known = ("--home", tmp_path / "home", "--model", make_colour_bundle(tmp_path / "bundle"))

    def photos_after(*options: str) -> int:
        status, out, _ = leanclip("index", photos, *options, *known, "--json")
        assert status == 0
        return int(json.loads(out)["photos"])

    assert photos_after() == 2
    assert photos_after("--companions") == photos_after() == 4
    assert photos_after("--default-rules") == 2
    status, out, _ = leanclip("index", photos, *known)
    assert (status, "2 unchanged, 2 left out beside their photo (" in out) == (0, True)

"""Videos and RAW files in a library: indexed, found, shown, counted, moved."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval.catalog.records import PhotoFile
from retrieval.search.hit import Hit
from retrieval.search.indexing.feed import VIDEO_PLACES, Feed
from retrieval.search.library import Library
from retrieval.search.rules import ScanRules
from retrieval.search.sheet import Section, write_contact_sheet
from retrieval.search.sheet.notebook import render_hits
from retrieval.search.sheet.thumbnail import thumbnail
from retrieval.search.upkeep.checks import findings
from retrieval.spec.errors import PhotoError, QueryError
from retrieval.spec.preprocessing import Preprocessing
from tests.fakes import COLOURS, save_colour
from tests.fixtures.raw_files import dng

pytest.importorskip("av")
pytest.importorskip("rawpy")
pytest.importorskip("pillow_heif")

import pillow_heif

from tests.fixtures.videos import plain, write_video


def film(path: Path, *colours: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_video(path, [plain(COLOURS[colour]) for colour in colours])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    film(folder / "holiday.mp4", "red", "green", "blue")
    save_colour(folder / "a.png", "green")
    return folder


def rows_of(library: Library) -> int:
    [count] = library.catalog.spaces()
    return count.rows


def found(library: Library, query: str, top: int = 10) -> list[tuple[str, int | None]]:
    return [(hit.path.name, hit.moment_ms) for hit in library.search(query, top=top)]


def test_a_video_is_found_once_at_its_best_moment(library: Library, folder: Path) -> None:
    assert library.ensure_index(folder).added == 2
    assert rows_of(library) == 4
    assert found(library, "blue") == [("holiday.mp4", 4000), ("a.png", None)]
    assert found(library, "red", top=1) == [("holiday.mp4", 0)]
    scores = {hit.path.name: hit.score for hit in library.search("green")}
    assert scores["holiday.mp4"] == pytest.approx(scores["a.png"], abs=0.01)
    assert library.ensure_index(folder).unchanged == 2


def test_videos_count_as_one_and_say_how_long_they_are(library: Library, folder: Path) -> None:
    library.ensure_index(folder)
    [counted] = library.catalog.folders()
    assert (counted.photos, counted.videos) == (2, 1)
    assert library.count(folder) == 2
    assert library.catalog.spaces()[0].photos == 2
    durations = dict(library.catalog.read("SELECT path, duration_ms FROM photos"))
    assert durations[bytes(folder / "holiday.mp4")] == 6000
    write_video(folder / "live.webm", [plain(COLOURS["red"])] * 2, streamed=True)
    library.ensure_index(folder)
    # It does not say; nothing but its first picture is known of it.
    durations = dict(library.catalog.read("SELECT path, duration_ms FROM photos"))
    assert durations[bytes(folder / "live.webm")] is not None


def test_a_moved_and_a_copied_video_keep_their_moments(library: Library, folder: Path) -> None:
    library.ensure_index(folder)
    encoded = library.encoder.photos_encoded
    shutil.copy(folder / "holiday.mp4", folder / "copy.mp4")
    (folder / "holiday.mp4").rename(folder / "moved.mp4")
    report = library.ensure_index(folder)
    assert (report.moved, report.reused) == (1, 1)
    assert library.encoder.photos_encoded == encoded
    assert set(found(library, "blue", top=2)) == {("copy.mp4", 4000), ("moved.mp4", 4000)}


def test_a_changed_video_loses_its_old_moments(library: Library, folder: Path) -> None:
    library.ensure_index(folder)
    film(folder / "holiday.mp4", "yellow", "white")
    assert library.ensure_index(folder).changed == 1
    assert found(library, "white", top=1) == [("holiday.mp4", 2000)]
    assert found(library, "blue")[0] != ("holiday.mp4", 4000)
    (folder / "holiday.mp4").unlink()
    library.ensure_index(folder)
    assert found(library, "white") == [("a.png", None)]


@pytest.mark.parametrize("damage", ["a number", "the end"])
def test_a_video_that_lost_a_moment_is_read_again(
    library: Library, folder: Path, tmp_path: Path, damage: str
) -> None:
    library.ensure_index(folder)
    [vectors] = (tmp_path / "home" / "vectors").glob("*.fp16")
    stored = np.fromfile(vectors, np.float16).reshape(4, -1)
    if damage == "a number":
        stored[2] = np.nan
    stored[: 4 if damage == "a number" else 3].tofile(vectors)
    found_wrong = list(findings(tmp_path / "home", library.catalog, repair=True))
    assert [one.mended for one in found_wrong].count(True) == 1
    # The photo whose vector is whole is not read again.
    assert library.ensure_index(folder).added == 1
    for colour, moment in (("red", 0), ("green", 2000), ("blue", 4000)):
        assert ("holiday.mp4", moment) in found(library, colour, top=2)


def test_many_videos_are_encoded_in_bounded_batches(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    encode = library.encoder.encode_pixels
    monkeypatch.setattr(
        library.encoder, "encode_pixels", lambda p: (sizes.append(len(p)), encode(p))[1]
    )
    changing = [plain((200 * (number % 2), 8 * number, 99)) for number in range(24)]
    one = write_video(tmp_path / "one.mkv", changing)
    for number in range(3):
        (tmp_path / "photos").mkdir(exist_ok=True)
        # Bytes behind the end make other files of them.
        content = one.read_bytes() + bytes(number)
        (tmp_path / "photos" / f"{number}.mkv").write_bytes(content)
        save_colour(tmp_path / "photos" / f"{number}.png", "red")
    assert library.ensure_index(tmp_path / "photos").added == 6
    assert max(sizes) <= 32
    assert sum(sizes) == 3 * 24 + 3
    assert library.search("red", top=3)[2].moment_ms is None


def test_videos_in_advance_take_the_place_of_many_photos(tmp_path: Path) -> None:
    files = []
    for number in range(4):
        path = film(tmp_path / f"{number}.avi", "red")
        files.append(PhotoFile(path, path.stat().st_size, path.stat().st_mtime_ns))
    asked = []

    def listed() -> Iterator[PhotoFile]:
        for file in files:
            asked.append(file)
            yield file

    with Feed(Preprocessing(size=16), expected=1) as feed:
        videos = feed.photos(listed(), ahead=2 * VIDEO_PLACES)
        assert next(videos).moments == (0,)
        assert len(asked) == 2
        assert len(list(videos)) == 3


def test_damaged_videos_are_skipped_with_a_reason(library: Library, folder: Path) -> None:
    content = (folder / "holiday.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(content[: len(content) // 2])
    (folder / "empty.mov").touch()
    (folder / "text.avi").write_text("not a film")
    report = library.ensure_index(folder)
    why = {path.name: reason for path, reason in report.skipped}
    assert why == {
        "cut.mp4": "is not a video that can be read, or a part of it is missing",
        "empty.mov": "is empty (0 bytes)",
        "text.avi": "is not a video that can be read, or a part of it is missing",
    }
    assert report.added == 2


def test_a_video_and_a_raw_file_ask_as_photos_do(
    library: Library, folder: Path, tmp_path: Path
) -> None:
    save_colour(folder / "b.png", "yellow")
    library.ensure_index(folder)
    # Red and green, which are not far from yellow together.
    asked = film(tmp_path / "asked.mp4", "red", "green")
    assert library.search(f"{asked} - blue", top=1)[0].path.name == "b.png"
    hits = library.similar(film(tmp_path / "red.mp4", "red"), top=1)
    assert (hits[0].path.name, hits[0].score) == ("holiday.mp4", pytest.approx(1, abs=0.01))
    own = library.similar(folder / "holiday.mp4")
    assert [hit.path.name for hit in own] == ["a.png", "b.png"]
    raw = tmp_path / "asked.dng"
    raw.write_bytes(dng(plain(COLOURS["green"]), plain(COLOURS["green"], (320, 200))))
    assert library.similar(raw, top=1)[0].score == pytest.approx(1, abs=0.01)


def test_kinds_of_files_as_filters(library: Library, folder: Path) -> None:
    preview = plain(COLOURS["red"], (320, 200))
    (folder / "IMG_1.DNG").write_bytes(dng(plain(COLOURS["red"]), preview))
    preview.save(folder / "IMG_1.JPG", quality=95)
    pillow_heif.from_pillow(plain(COLOURS["blue"])).save(folder / "IMG_2.HEIC", quality=95)
    report = library.ensure_index(folder, rules=ScanRules(companions=True))
    assert (report.added, report.skipped) == (5, [])
    for query, names in (
        ("type:video", {"holiday.mp4"}),
        ("type:mp4", {"holiday.mp4"}),
        ("type:mov", set()),
        ("type:raw", {"IMG_1.DNG"}),
        ("type:dng type:video", {"IMG_1.DNG", "holiday.mp4"}),
        ("type:heic", {"IMG_2.HEIC"}),
        ("blue type:heic", {"IMG_2.HEIC"}),
    ):
        assert {hit.path.name for hit in library.search(query)} == names, query
    with pytest.raises(QueryError, match="heic, raw, video"):
        library.search("type:film")


def test_a_raw_file_beside_its_jpeg_is_a_near_duplicate(library: Library, tmp_path: Path) -> None:
    preview = plain(COLOURS["red"], (320, 200))
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "IMG_1.dng").write_bytes(dng(plain(COLOURS["red"]), preview))
    preview.resize((60, 40)).save(folder / "IMG_1.jpg", quality=95)
    film(folder / "red.mp4", "red")
    library.ensure_index(folder, rules=ScanRules(companions=True))
    found = library.duplicates()
    # The camera's full picture first; a video is compared by its content only.
    assert [[hit.path.name for hit in group] for group in found.near] == [
        ["IMG_1.dng", "IMG_1.jpg"]
    ]
    assert found.exact == []


def test_the_moment_that_was_found_is_what_is_shown(tmp_path: Path) -> None:
    path = film(tmp_path / "a film.mp4", "red", "green", "blue")
    hit = Hit(path, 0.5, 1, moment_ms=4000)
    picture = thumbnail(hit, 30)
    assert picture is not None
    assert picture.size == (40, 30)
    np.testing.assert_allclose(picture.getpixel((20, 15)), COLOURS["blue"], atol=8)
    page = tmp_path / "sheet.html"
    write_contact_sheet(page, [Section("blue", [hit])])
    text = page.read_text()
    assert f'href="{path.as_uri()}#t=4"' in text
    assert "a film.mp4 at 0:04" in text
    assert "a film.mp4 at 0:04" in render_hits([hit])
    write_contact_sheet(tmp_path / "sheet.png", [Section("blue", [hit])])
    with Image.open(tmp_path / "sheet.png") as sheet:
        np.testing.assert_allclose(sheet.getpixel((120, 200)), COLOURS["blue"], atol=8)
    path.write_bytes(b"gone")
    assert thumbnail(hit, 30) is None


def test_without_extras_such_files_are_left_alone_unless_they_are_named(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "b.dng").write_bytes(dng(plain(COLOURS["red"]), plain(COLOURS["red"], (320, 200))))
    (folder / "c.heic").write_bytes(b"whatever")
    code = f"""
import sys
for name in ("av", "rawpy", "pillow_heif"):
    sys.modules[name] = None
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from tests.fakes import ColourEncoder
from retrieval.search.library import Library
from retrieval.spec.errors import PhotoError
folder = Path({str(folder)!r})
with Library.open(Path({str(tmp_path / "home")!r}), ColourEncoder()) as library:
    report = library.ensure_index(folder)
    print(report.added, report.skipped)
    for name in ("holiday.mp4", "b.dng", "c.heic"):
        for ask in (lambda path: library.similar(path), lambda path: library.search(str(path))):
            try:
                ask(folder / name)
            except PhotoError as error:
                print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    first, *rest = done.stdout.splitlines()
    assert first == "1 []", done.stderr
    extras = [line.partition("pip install ")[2] for line in rest]
    assert extras == [
        f"'leanclip[{extra}]'" for extra in ("video", "video", "raw", "raw", "heif", "heif")
    ]


def test_starting_loads_no_reader_that_is_not_needed() -> None:
    code = (
        "import sys; import retrieval.search.library, retrieval.vision.worker; "
        "print({'av', 'rawpy', 'pillow_heif'} & set(sys.modules))"
    )
    printed = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert printed == "set()\n"


def test_a_missing_video_is_not_a_sentence(library: Library, folder: Path) -> None:
    library.ensure_index(folder)
    with pytest.raises(QueryError, match="no such photo to compare with"):
        library.search("none.mp4")
    with pytest.raises(PhotoError, match="no such photo"):
        library.similar(folder / "none.mp4")

"""Damaged files cost themselves: the run neither crashes nor hangs, and goes on."""

import sys
import tempfile
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from retrieval.catalog.records import PhotoFile
from retrieval.search.indexing import decoder as decoding
from retrieval.search.indexing.decoder import Decoder
from retrieval.search.indexing.feed import Feed
from retrieval.search.library import Library
from retrieval.spec.errors import LeanclipError
from retrieval.spec.preprocessing import Preprocessing
from tests.fakes import save_colour
from tests.vision.made_photos import encoded, photo_like

BROKEN_WORKER = str(Path(__file__).with_name("broken_worker.py"))
SMALL = photo_like(40, 28)
FORMATS = {
    "jpg": encoded(SMALL, "JPEG"),
    "png": encoded(SMALL, "PNG"),
    "webp": encoded(SMALL, "WEBP"),
    "avif": encoded(SMALL, "AVIF"),
    "gif": encoded(SMALL, "GIF", save_all=True, append_images=[SMALL.rotate(90)]),
    "tif": encoded(SMALL, "TIFF", compression="tiff_lzw"),
    "bmp": encoded(SMALL, "BMP"),
}


@pytest.fixture
def accidents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "COMMAND", (sys.executable, BROKEN_WORKER))
    monkeypatch.setattr(decoding, "DECODE_SECONDS", 2.0)


def file_of(path: Path) -> PhotoFile:
    state = path.stat()
    return PhotoFile(path, state.st_size, state.st_mtime_ns)


def test_hangs_crashes_and_refusals_cost_one_photo_each(
    library: Library, tmp_path: Path, accidents: None
) -> None:
    folder = tmp_path / "photos"
    for name in ("a", "b crash", "c", "d hang", "e denied", "f"):
        save_colour(folder / f"{name}.png", "red")
    report = library.ensure_index(folder)
    assert report.added == 3
    why = {path.stem: reason for path, reason in report.skipped}
    assert why["b crash"] == "cannot be decoded: the decoder crashed on it (signal 6)"
    assert why["d hang"] == "cannot be decoded: gave up after 2 seconds"
    assert why["e denied"] == "cannot be read: Permission denied"
    # The system may let it be read next time; the others are damaged until they change.
    assert library.ensure_index(folder).skipped == report.skipped
    assert library.encoder.photos_encoded == 3


def test_a_refused_file_is_tried_again(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_colour(tmp_path / "photos" / "denied.png", "red")
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "COMMAND", (sys.executable, BROKEN_WORKER))
        assert len(library.ensure_index(tmp_path / "photos").skipped) == 1
    report = library.ensure_index(tmp_path / "photos")
    assert (report.added, report.skipped) == (1, [])


def test_a_slow_photo_is_passed_by_others(
    tmp_path: Path, accidents: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    names = ["hang", *(f"{number:02}" for number in range(40))]
    files = [file_of(save_colour(tmp_path / f"{name}.png", "red")) for name in names]
    with Feed(Preprocessing(size=16), expected=2 * 16) as feed:
        order = [item.file.path.stem for item in feed.photos(files, ahead=10)]
    assert sorted(order) == sorted(names)
    assert order[0] != "hang"


def test_decoders_that_cannot_start_end_the_run_and_blame_no_photo(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_colour(tmp_path / "photos" / "a.png", "red")
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "COMMAND", (sys.executable, BROKEN_WORKER, "start"))
        with pytest.raises(LeanclipError, match=r"cannot be started \(exit status 3\)"):
            library.ensure_index(tmp_path / "photos")
    assert library.catalog.skipped() == []
    assert library.ensure_index(tmp_path / "photos").added == 1


def test_a_run_with_nothing_to_read_starts_no_decoder(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos"
    for name in ("a", "b", "damaged"):
        save_colour(folder / f"{name}.png", "red")
    (folder / "damaged.png").write_bytes(b"no photo")
    assert library.ensure_index(folder).added == 2
    (folder / "b.png").unlink()
    # Any attempt to start one would fail.
    monkeypatch.setattr(decoding, "COMMAND", (sys.executable, BROKEN_WORKER, "start"))
    for removed in (1, 0):
        report = library.ensure_index(folder)
        assert (report.unchanged, report.removed, len(report.skipped)) == (1, removed, 1)


def test_a_decoding_process_ends_with_its_owner(tmp_path: Path) -> None:
    decoder = Decoder(Preprocessing(size=16))
    before = set(psutil.Process().children())
    assert decoder.read(file_of(save_colour(tmp_path / "a.png", "red"))).why is None
    [child] = set(psutil.Process().children()) - before
    decoder.close()
    assert not psutil.pid_exists(child.pid)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), kind=st.sampled_from(sorted(FORMATS)))
def test_damaged_headers(decoder: Decoder, data: st.DataObject, kind: str) -> None:
    content = bytearray(FORMATS[kind])
    places = st.one_of(st.integers(0, 160), st.integers(0, len(content) - 1))
    changes = st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=6)
    for place, value in data.draw(changes):
        content[min(place, len(content) - 1)] = value
    keep = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"damaged.{kind}"
        path.write_bytes(content[:keep])
        found = decoder.read(file_of(path))
    if found.why is None:
        assert found.pixels is not None and found.pixels.shape == (1, 3, 16, 16)
    else:
        assert (found.state, found.pixels) == ("damaged", None)
        assert "\n" not in found.why
        assert "crashed" not in found.why and "gave up" not in found.why


def test_a_photo_that_claims_a_billion_pixels_is_one_line(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    content = bytearray(encoded(Image.new("RGB", (8, 8)), "BMP"))
    content[18:22] = content[22:26] = (60_000).to_bytes(4, "little")
    (folder / "bomb.bmp").write_bytes(content)
    [(_, why)] = library.ensure_index(folder).skipped
    assert "3,600,000,000 pixels" in why

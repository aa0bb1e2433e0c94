"""Whatever is in a file, the worst that happens is a PhotoError of one line."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from retrieval.spec.errors import PhotoError
from retrieval.vision.decode import MAX_PIXELS, open_photo
from tests.vision.made_photos import encoded, photo_like, png

# pytest puts its own filters before the one that `decode` sets.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

SMALL = photo_like(60, 44)
FILES = {
    "jpeg": encoded(
        SMALL, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
    ),
    "progressive": encoded(SMALL, "JPEG", progressive=True),
    "cmyk": encoded(SMALL.convert("CMYK"), "JPEG"),
    "png": encoded(SMALL, "PNG"),
    "palette": encoded(SMALL.convert("P"), "PNG", transparency=3),
    "webp": encoded(SMALL, "WEBP"),
    "lossless": encoded(SMALL.convert("RGBA"), "WEBP", lossless=True),
    "avif": encoded(SMALL, "AVIF"),
    "gif": encoded(SMALL, "GIF", save_all=True, append_images=[SMALL.rotate(90)]),
    "tiff": encoded(SMALL, "TIFF"),
    "lzw": encoded(SMALL, "TIFF", compression="tiff_lzw"),
    "bmp": encoded(SMALL, "BMP"),
    "grey16": encoded(Image.frombytes("I;16", (60, 22), SMALL.tobytes()[:2640]), "PNG"),
}


def message(path: Path, **options: int) -> str:
    with pytest.raises(PhotoError) as caught:
        open_photo(path, **options)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    return text


def test_missing(tmp_path: Path) -> None:
    assert "No such file" in message(tmp_path / "none.jpg")
    assert "No such file" in message(tmp_path / "no folder" / "none.jpg")


def test_an_impossible_name() -> None:
    message(Path("photo\0.jpg"))
    message(Path("x" * 5000))


def test_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.jpg"
    path.touch()
    assert "is empty (0 bytes)" in message(path)


def test_a_folder_and_a_pipe(tmp_path: Path) -> None:
    assert "not a regular file" in message(tmp_path)
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    found: list[str] = []
    worker = threading.Thread(target=lambda: found.append(message(pipe)), daemon=True)
    worker.start()
    worker.join(timeout=10)
    assert found
    assert "not a regular file" in found[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_forbidden(tmp_path: Path) -> None:
    path = tmp_path / "secret.jpg"
    path.write_bytes(FILES["jpeg"])
    path.chmod(0)
    assert "Permission denied" in message(path)


@pytest.mark.parametrize(
    "data", [b"just text, no photo\n", b"%PDF-1.4", b"%!PS-Adobe-3.0 EPSF", b"\xff\xd8", bytes(999)]
)
def test_not_a_photo(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "note.jpg"
    path.write_bytes(data)
    assert "is not a photo that can be read" in message(path)


def test_heic_without_its_extra_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.vision.decode.HEIF_INSTALLED", False)
    path = tmp_path / "phone.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500))
    assert "pip install 'leanclip[heif]'" in message(path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.95])
def test_truncated(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name][: int(len(FILES[name]) * share)])
    if name == "gif" and share > 0.5:
        assert open_photo(path).size == (60, 44)  # the first frame is whole
        return
    message(path)
    message(path, target=8)


@pytest.mark.parametrize("name", ["jpeg", "progressive"])
def test_a_copy_that_broke_off_and_was_filled_with_zeros(tmp_path: Path, name: str) -> None:
    data = FILES[name]
    path = tmp_path / "copy.jpg"
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) // 2))
    message(path)


def test_too_many_pixels_are_refused_from_the_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(100_000, 90_000, 8, 2, b""))
    text = message(path)
    assert "100000 x 90000 = 9,000,000,000 pixels" in text
    assert f"limit of {MAX_PIXELS:,}" in text


def test_the_limit_counts_pixels_in_the_file_not_in_the_draft(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(photo_like(640, 480), "JPEG"))
    assert "raise max_pixels" in message(path, max_pixels=640 * 480 - 1, target=8)
    assert open_photo(path, max_pixels=640 * 480).size == (640, 480)


@settings(
    max_examples=700, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), name=st.sampled_from(sorted(FILES)))
def test_damaged_bytes(tmp_path: Path, data: st.DataObject, name: str) -> None:
    content = bytearray(FILES[name])
    # Headers and tables stand at the front, where damage does most harm.
    places = st.one_of(st.integers(0, 200), st.integers(0, len(content) - 1))
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=8)):
        content[min(place, len(content) - 1)] = value
    keep = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    path = tmp_path / "damaged"
    path.write_bytes(content[:keep])
    try:
        photo = open_photo(path, target=data.draw(st.sampled_from([None, 8])), max_pixels=10**6)
    except PhotoError as error:
        assert "\n" not in str(error)
    else:
        assert photo.mode == "RGB"
        assert photo.width * photo.height <= 10**6


def test_a_phones_200_megapixels_are_within_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "phone.png"
    path.write_bytes(png(16_320, 12_240, 1, 0, b""))
    assert "truncated" in message(path)


def test_pillows_warnings_stay_inside(tmp_path: Path) -> None:
    broken_exif = b"Exif\0\0II*\0\x08\0\0\0\x30\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(SMALL, "JPEG", exif=broken_exif))
    code = (
        "import sys; from pathlib import Path\n"
        "from retrieval.vision.decode import open_photo\n"
        "print(open_photo(Path(sys.argv[1])).mode)\n"
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, path], capture_output=True, text=True
    )
    assert (result.stderr, result.stdout) == ("", "RGB\n")

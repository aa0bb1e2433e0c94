"""RAW files show what the camera embedded, HEIC photos stand upright once; both say when."""

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from retrieval.spec.errors import PhotoError
from retrieval.vision.decode import EXTENT, is_photo_name, open_photo
from retrieval.vision.details import FileDetails, read_details
from tests.fixtures.raw_files import dng
from tests.vision.made_photos import CORNERS, corners_of, encoded, photo_like, quarters

pytest.importorskip("rawpy")
pillow_heif = pytest.importorskip("pillow_heif")

# How a sensor sees an upright picture in a camera that is held so: the inverse of the turn.
HELD = {
    1: None,
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}
TAKEN = 1_622_887_872  # 2021-06-05 10:11:12


def seen(upright: Image.Image, orientation: int) -> Image.Image:
    turn = HELD[orientation]
    return upright if turn is None else upright.transpose(turn)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("orientation", HELD)
def test_the_embedded_picture_stands_upright(tmp_path: Path, orientation: int) -> None:
    sensor = seen(quarters(64, 40), orientation)
    preview = seen(quarters(320, 200), orientation)
    path = written(tmp_path / "a.dng", dng(sensor, preview, orientation=orientation))
    photo = open_photo(path)
    assert photo.size == (320, 200)
    np.testing.assert_allclose(corners_of(photo), CORNERS, atol=4)
    details = read_details(path)
    assert (details.width, details.height) == (64, 40)


@pytest.mark.parametrize("orientation", HELD)
def test_without_an_embedded_picture_the_sensor_is_developed(
    tmp_path: Path, orientation: int
) -> None:
    sensor = seen(quarters(128, 80), orientation)
    path = written(tmp_path / "a.dng", dng(sensor, None, orientation=orientation))
    photo = open_photo(path)
    assert photo.size == (64, 40)
    assert photo.info[EXTENT] == (0, 0, 64, 40)
    # A development is brighter and purer than the picture, with the same colour on top.
    for found, expected in zip(corners_of(photo), CORNERS, strict=True):
        assert np.argmax(found) == np.argmax(expected)
        np.testing.assert_allclose(found, expected, atol=50)


def test_a_camera_that_sees_no_colours(tmp_path: Path) -> None:
    content = dng(quarters(128, 80).convert("L"), None, colours=False)
    photo = open_photo(written(tmp_path / "a.dng", content))
    assert (photo.mode, photo.size) == ("RGB", (128, 80))
    assert all(len(set(colour)) == 1 for colour in corners_of(photo))


def test_an_embedded_picture_that_is_turned_already_is_left(tmp_path: Path) -> None:
    sensor = seen(quarters(40, 64), 6)
    path = written(tmp_path / "a.dng", dng(sensor, quarters(200, 320), orientation=6))
    photo = open_photo(path)
    assert photo.size == (200, 320)
    np.testing.assert_allclose(corners_of(photo), CORNERS, atol=4)


def test_an_icon_is_too_small_to_stand_for_the_photo(tmp_path: Path) -> None:
    path = written(tmp_path / "a.dng", dng(quarters(128, 80), quarters(32, 20)))
    assert open_photo(path, target=30).size == (64, 40)
    assert open_photo(path, target=20).size == (32, 20)
    # Better than nothing, where the sensor's data are not to be looked at.
    assert open_photo(path, target=30, max_pixels=1000).size == (32, 20)


def test_a_large_embedded_picture_is_decoded_at_a_fraction(tmp_path: Path) -> None:
    path = written(tmp_path / "a.dng", dng(quarters(64, 40), photo_like(1600, 1000)))
    assert open_photo(path, target=100).size == (400, 250)


def test_what_a_raw_file_says_of_itself(tmp_path: Path) -> None:
    content = dng(quarters(64, 40), quarters(320, 200), place=(59, 10))
    assert read_details(written(tmp_path / "a.DNG", content)) == FileDetails(
        width=64,
        height=40,
        taken_at=TAKEN,
        camera="Tiny Raw One",
        latitude=59.0,
        longitude=10.0,
    )


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.97])
def test_a_raw_file_that_is_cut_off_is_refused(tmp_path: Path, kept: float) -> None:
    content = dng(photo_like(64, 40), photo_like(320, 200))
    path = written(tmp_path / "a.dng", content[: int(kept * len(content))])
    with pytest.raises(PhotoError, match=r"a\.dng is not a photo that can be read"):
        open_photo(path)
    assert read_details(path) == FileDetails()


def test_a_sensor_of_too_many_pixels_is_not_developed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.nef", dng(quarters(128, 80), None))
    with pytest.raises(PhotoError, match="sensor has 128 x 80 pixels, which are too many"):
        open_photo(path, max_pixels=10_000)


def test_a_raw_suffix_needs_a_raw_file(tmp_path: Path) -> None:
    path = written(tmp_path / "a.cr2", encoded(photo_like(30, 20), "TIFF"))
    with pytest.raises(PhotoError, match="is not a photo that can be read"):
        open_photo(path)


def heic(upright: Image.Image, orientation: int = 1) -> bytes:
    """Stored turned, with the turn said in EXIF and, as the format wants it, in its own box."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Make] = "Pear"
    exif[ExifTags.Base.Model] = "Phone 3"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2021:06:05 10:11:12"
    file = BytesIO()
    pillow_heif.from_pillow(seen(upright, orientation)).save(
        file, quality=95, exif=exif.tobytes(), chroma=444
    )
    return file.getvalue()


@pytest.mark.parametrize("orientation", HELD)
def test_a_heic_photo_is_turned_once(tmp_path: Path, orientation: int) -> None:
    content = heic(quarters(96, 64), orientation)
    assert (b"irot" in content) == (orientation != 1)
    path = written(tmp_path / "a.heic", content)
    photo = open_photo(path)
    assert photo.size == (96, 64)
    np.testing.assert_allclose(corners_of(photo), CORNERS, atol=12)
    assert read_details(path) == FileDetails(
        width=96, height=64, taken_at=TAKEN, camera="Pear Phone 3"
    )


def test_a_heic_photo_is_known_by_its_content_and_damage_is_told(tmp_path: Path) -> None:
    content = heic(photo_like(96, 64))
    assert open_photo(written(tmp_path / "really.jpg", content)).size == (96, 64)
    cut = written(tmp_path / "cut.heic", content[: len(content) // 2])
    with pytest.raises(PhotoError, match=r"cut\.heic is not a photo that can be read"):
        open_photo(cut)
    with pytest.raises(PhotoError, match="more than the limit"):
        open_photo(written(tmp_path / "large.heif", content), max_pixels=1000)


@pytest.mark.parametrize(
    ("package", "extra", "name"),
    [("rawpy", "raw", "a.dng"), ("pillow_heif", "heif", "a.heic")],
)
def test_without_its_extra_a_photo_names_the_extra(
    tmp_path: Path, package: str, extra: str, name: str
) -> None:
    content = heic(quarters()) if extra == "heif" else dng(quarters(), quarters(320, 200))
    path = written(tmp_path / name, content)
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from pathlib import Path\n"
        "from retrieval.vision.decode import is_known_name, is_readable_name, open_photo\n"
        "from retrieval.vision.details import read_details\n"
        f"path = Path({str(path)!r})\n"
        "print(is_known_name(path), is_readable_name(path), read_details(path).width)\n"
        "open_photo(path)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "True False None\n"
    assert done.stderr.splitlines()[-1].endswith(
        f"is not a photo that can be read without an extra: pip install 'leanclip[{extra}]'"
    )


def test_raw_files_are_photos() -> None:
    assert is_photo_name(Path("IMG_1.CR2"))
    assert is_photo_name(Path("IMG_1.HEIC"))

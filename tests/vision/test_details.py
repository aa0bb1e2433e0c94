import calendar
from pathlib import Path

import pytest
from PIL import ExifTags, Image, TiffImagePlugin

from retrieval.vision.details import FileDetails, read_details

BASE, GPS = ExifTags.Base, ExifTags.GPS


def photo(
    path: Path,
    tags: dict[int, object] | None = None,
    camera: dict[int, object] | None = None,
    gps: dict[int, object] | None = None,
) -> Path:
    exif = Image.Exif()
    exif.update(tags or {})
    exif.get_ifd(ExifTags.IFD.Exif).update(camera or {})
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(gps or {})
    if path.suffix == ".tif":
        # Pillow writes the parts of a TIFF only if their places are marked.
        exif.update({ExifTags.IFD.Exif: 0, ExifTags.IFD.GPSInfo: 0})
    Image.new("RGB", (30, 20)).save(path, exif=exif)
    return path


def place(latitude: tuple, north: str, longitude: tuple, east: str) -> dict[int, object]:
    return {
        GPS.GPSLatitude: latitude,
        GPS.GPSLatitudeRef: north,
        GPS.GPSLongitude: longitude,
        GPS.GPSLongitudeRef: east,
    }


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif", "a.avif"])
def test_a_photo_says_when_where_and_with_what(tmp_path: Path, name: str) -> None:
    path = photo(
        tmp_path / name,
        {BASE.Make: "Canon", BASE.Model: "Canon EOS R5", BASE.DateTime: "2020:01:01 00:00:00"},
        {BASE.DateTimeOriginal: "2019:07:04 18:30:05"},
        place((59.0, 54.0, 36.0), "N", (10.0, 45.0, 0.0), "W"),
    )
    found = read_details(path)
    assert (found.width, found.height, found.camera) == (30, 20, "Canon EOS R5")
    assert found.taken_at == calendar.timegm((2019, 7, 4, 18, 30, 5))
    assert (found.latitude, found.longitude) == (pytest.approx(59.91), pytest.approx(-10.75))


def test_size_is_that_of_the_upright_photo(tmp_path: Path) -> None:
    found = read_details(photo(tmp_path / "a.jpg", {BASE.Orientation: 6}))
    assert (found.width, found.height) == (20, 30)


@pytest.mark.parametrize(
    ("tags", "camera"),
    [
        ({BASE.Make: "NIKON", BASE.Model: "D850"}, "NIKON D850"),
        ({BASE.Model: "Pixel 8\0\0 "}, "Pixel 8"),
        ({BASE.Make: "  "}, None),
        ({BASE.Make: "x" * 5000}, "x" * 100),
    ],
)
def test_cameras(tmp_path: Path, tags: dict[int, object], camera: str | None) -> None:
    assert read_details(photo(tmp_path / "a.jpg", tags)).camera == camera


@pytest.mark.parametrize(
    "date",
    ["0000:00:00 00:00:00", "    :  :     :  :  ", "2019:13:40 99:00:00", "1904:01:01 00:00:00"],
)
def test_a_date_that_is_none_gives_way_to_the_next(tmp_path: Path, date: str) -> None:
    found = read_details(
        photo(
            tmp_path / "a.jpg",
            {BASE.DateTime: "2001-02-03T04:05:06"},
            {BASE.DateTimeOriginal: date},
        )
    )
    assert found.taken_at == calendar.timegm((2001, 2, 3, 4, 5, 6))


@pytest.mark.parametrize(
    "gps",
    [
        place((0.0, 0.0, 0.0), "N", (0.0, 0.0, 0.0), "E"),
        place((95.0, 0.0, 0.0), "N", (10.0, 0.0, 0.0), "E"),
        place((TiffImagePlugin.IFDRational(1, 0), 0.0, 0.0), "N", (10.0, 0.0, 0.0), "E"),
        {GPS.GPSLatitude: (1.0, 2.0, 3.0)},
    ],
)
def test_places_that_are_none(tmp_path: Path, gps: dict[int, object]) -> None:
    found = read_details(photo(tmp_path / "a.jpg", gps=gps))
    assert (found.latitude, found.longitude) == (None, None)


def test_what_is_no_photo_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"no photo")
    assert read_details(path) == FileDetails()
    with pytest.raises(FileNotFoundError):
        read_details(tmp_path / "none.jpg")

"""Every photo comes out upright, in RGB and in the right colours."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from retrieval.vision.decode import (
    DRAFT_MARGIN,
    EXTENT,
    PHOTO_SUFFIXES,
    is_photo_name,
    open_photo,
)
from tests.vision.made_photos import CORNERS, corners_of, encoded, photo_like, png, quarters

# How a camera stores an upright picture under each orientation tag: the inverse of the
# turn that a viewer makes.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
LOSSY = 12


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def stored(upright: Image.Image, orientation: int) -> Image.Image:
    turn = STORED[orientation]
    return upright if turn is None else upright.transpose(turn)


def tag(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif


def assert_corners(image: Image.Image, expected: Any = CORNERS, tolerance: int = LOSSY) -> None:
    assert image.mode == "RGB"
    np.testing.assert_allclose(corners_of(image), expected, atol=tolerance)


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_orientation_is_applied(tmp_path: Path, format: str, orientation: int) -> None:
    options: dict[str, Any] = {} if format in {"PNG", "TIFF"} else {"quality": 95}
    data = encoded(stored(quarters(), orientation), format, exif=tag(orientation), **options)
    photo = open_photo(written(tmp_path / f"photo.{format}", data))
    assert photo.size == (64, 40)
    assert photo.info == {EXTENT: (0, 0, 64, 40)}
    assert_corners(photo)
    assert photo.getexif().get(ExifTags.Base.Orientation, 1) == 1


def test_orientation_is_ignored_when_the_spec_says_so(tmp_path: Path) -> None:
    data = encoded(stored(quarters(), 6), "JPEG", exif=tag(6), quality=95)
    photo = open_photo(written(tmp_path / "a.jpg", data), exif_orientation="ignore")
    assert photo.size == (40, 64)
    assert photo.info == {EXTENT: (0, 0, 40, 64)}


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(tmp_path: Path, value: int) -> None:
    data = encoded(quarters(), "JPEG", exif=tag(value), quality=95)
    assert_corners(open_photo(written(tmp_path / "a.jpg", data)))


@pytest.mark.parametrize(
    ("orientation", "left", "top"),
    [
        *((1, 0, 0), (2, 0.875, 0), (3, 0.875, 0.625), (4, 0, 0.625)),
        *((5, 0, 0), (6, 0.875, 0), (7, 0.875, 0.625), (8, 0, 0.625)),
    ],
)
def test_a_draft_is_upright_and_knows_what_it_fills(
    tmp_path: Path, orientation: int, left: float, top: float
) -> None:
    data = encoded(stored(quarters(1001, 803), orientation), "JPEG", exif=tag(orientation))
    photo = open_photo(written(tmp_path / "a.jpg", data), target=50)
    assert photo.size == (126, 101)
    assert photo.info == {EXTENT: (left, top, left + 1001 / 8, top + 803 / 8)}
    assert_corners(photo)


@pytest.mark.parametrize("target", [16, 50, 99, 100, 224, 1000])
def test_a_draft_keeps_more_pixels_than_the_target(tmp_path: Path, target: int) -> None:
    path = written(tmp_path / "a.jpg", encoded(photo_like(700, 500), "JPEG"))
    short = min(open_photo(path, target=target).size)
    assert short >= min(500, DRAFT_MARGIN * target)
    # An eighth is the smallest fraction, and fractions are powers of two.
    assert short < max(2 * DRAFT_MARGIN * target, 500 / 8 + 1) or short == 500


def test_cmyk_jpeg(tmp_path: Path) -> None:
    data = encoded(quarters().convert("CMYK"), "JPEG", quality=95)
    assert_corners(open_photo(written(tmp_path / "a.jpg", data)))
    assert_corners(open_photo(written(tmp_path / "a.jpg", data), target=8), tolerance=20)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "YCbCr", "CMYK"])
def test_other_modes(tmp_path: Path, mode: str) -> None:
    format = "TIFF" if mode in {"YCbCr", "CMYK"} else "PNG"
    image = quarters().convert(mode)
    photo = open_photo(written(tmp_path / f"a.{format}", encoded(image, format)))
    assert_corners(photo, corners_of(image.convert("RGB")), tolerance=2)


RAMP = np.linspace(0, 65535, 64 * 8).astype(np.uint16).reshape(8, 64)


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_grey_tiff_is_scaled(tmp_path: Path, order: str) -> None:
    image = Image.frombytes(
        "I;16" if order == "<" else "I;16B", (64, 8), RAMP.astype(f"{order}u2").tobytes()
    )
    photo = open_photo(written(tmp_path / "a.tif", encoded(image, "TIFF")))
    np.testing.assert_allclose(np.asarray(photo)[..., 0], RAMP / 257, atol=1)


def test_16_bit_png_is_scaled(tmp_path: Path) -> None:
    rows = RAMP.astype(">u2")
    grey = b"".join(b"\0" + row.tobytes() for row in rows)
    colour = b"".join(b"\0" + np.repeat(row, 3).tobytes() for row in rows)
    for name, colour_type, data in (("grey", 0, grey), ("colour", 2, colour)):
        path = written(tmp_path / f"{name}.png", png(64, 8, 16, colour_type, data))
        photo = np.asarray(open_photo(path))
        assert photo.shape == (8, 64, 3)
        np.testing.assert_allclose(photo[..., 1], RAMP / 257, atol=1)


@pytest.mark.parametrize(
    ("samples", "low", "high"),
    [
        (RAMP.astype(np.int32), 0, 65535),
        ((RAMP / 65535).astype(np.float32), 0, 1),
        ((RAMP / 257).astype(np.float32), 0, 255),
        ((RAMP * 3.0 - 5000).astype(np.float32), -5000, 3 * 65535 - 5000),
        (np.full((8, 64), 0.5, np.float32), 0, 1),
    ],
)
def test_32_bit_grey_is_scaled(tmp_path: Path, samples: Any, low: float, high: float) -> None:
    path = written(tmp_path / "a.tif", encoded(Image.fromarray(samples), "TIFF"))
    expected = (samples.astype(np.float64) - low) / (high - low) * 255
    np.testing.assert_allclose(np.asarray(open_photo(path))[..., 2], expected, atol=1)


def test_numbers_that_are_not_finite_are_dark(tmp_path: Path) -> None:
    samples = np.full((8, 8), 0.5, np.float32)
    samples[0, 0], samples[1, 1] = np.nan, np.inf
    path = written(tmp_path / "a.tif", encoded(Image.fromarray(samples), "TIFF"))
    assert np.asarray(open_photo(path))[0, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF", "TIFF"])
def test_transparency_shows_the_fill(tmp_path: Path, format: str) -> None:
    image = quarters().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 32, 20))
    data = encoded(image, format, **({"lossless": True} if format == "WEBP" else {}))
    path = written(tmp_path / f"a.{format}", data)
    for fill in ((0, 0, 0), (255, 250, 240)):
        assert_corners(open_photo(path, fill=fill), [fill, *CORNERS[1:]], tolerance=2)


def test_half_transparent_pixels_mix_with_the_fill(tmp_path: Path) -> None:
    data = encoded(Image.new("RGBA", (8, 8), (200, 100, 0, 128)), "PNG")
    photo = open_photo(written(tmp_path / "a.png", data), fill=(0, 0, 255))
    np.testing.assert_allclose(corners_of(photo)[0], (100, 50, 127), atol=2)


def test_a_transparent_colour_shows_the_fill(tmp_path: Path) -> None:
    data = encoded(quarters(), "PNG", transparency=CORNERS[0])
    photo = open_photo(written(tmp_path / "a.png", data), fill=(1, 2, 3))
    assert_corners(photo, [(1, 2, 3), *CORNERS[1:]], tolerance=0)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_of_an_animation_the_first_frame_counts(tmp_path: Path, format: str) -> None:
    later = [Image.new("RGB", (64, 40), (255, 0, 255)), Image.new("RGB", (64, 40), (0, 0, 0))]
    data = encoded(quarters(), format, save_all=True, append_images=later, duration=50)
    assert_corners(open_photo(written(tmp_path / f"a.{format}", data)))


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    assert_corners(open_photo(written(tmp_path / "a.jpg", encoded(quarters(), "PNG"))))


def test_names_of_photos() -> None:
    for name in ("a.jpg", "b.JPEG", "c.tif", "d.Webp", "e/f.avif", "g.png", "h.gif", "i.bmp"):
        assert is_photo_name(Path(name))
    for name in ("a.txt", "jpg", ".jpg", "b.jpg.part", "c.mp4", "d", "e.svg", "f.pdf"):
        assert not is_photo_name(Path(name))
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in PHOTO_SUFFIXES)

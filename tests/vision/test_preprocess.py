"""Pixels equal those of open_clip's evaluation transform on the same photo."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

import retrieval.models.torchvision_guard  # noqa: F401
from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.preprocess import load_pixels, normalise, preprocess
from tests.vision.made_photos import encoded, photo_like, quarters

# isort: split
from open_clip.transform import image_transform

MODES = ("shortest", "squash", "longest")
SHAPES = [(500, 375), (333, 500), (224, 224), (640, 427), (101, 37), (300, 299), (17, 90), (1, 1)]
SAMPLES = sorted(
    path
    for path in (Path(__file__).parents[2] / "data" / "photos").rglob("*")
    if path.suffix in {".jpg", ".jpeg", ".png", ".webp"}
)


def theirs(image: Image.Image, spec: Preprocessing) -> Any:
    transform = image_transform(
        spec.size,
        is_train=False,
        mean=spec.mean,
        std=spec.std,
        resize_mode=spec.resize_mode,
        interpolation=spec.interpolation,
        fill_color=spec.fill[0],
    )
    return transform(image).numpy()


def assert_equal(image: Image.Image, spec: Preprocessing) -> None:
    pixels = preprocess(image, spec)
    assert pixels.shape == (3, spec.size, spec.size)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    np.testing.assert_allclose(normalise(pixels, spec), theirs(image, spec), atol=1e-5)


@pytest.mark.parametrize("size", [64, 224, 225])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("mode", MODES)
def test_equal_to_open_clip(mode: Any, interpolation: Any, size: int) -> None:
    fill = (114, 114, 114)
    spec = Preprocessing(size=size, resize_mode=mode, interpolation=interpolation, fill=fill)
    for width, height in SHAPES:
        assert_equal(photo_like(width, height), spec)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(8, 120), st.sampled_from(MODES))
def test_equal_to_open_clip_at_any_size(width: int, height: int, size: int, mode: Any) -> None:
    if max(width, height) > 8 * min(width, height):
        width = height
    assert_equal(photo_like(width, height), Preprocessing(size=size, resize_mode=mode))


@pytest.mark.parametrize("mode", MODES)
def test_equal_to_open_clip_on_sample_photos(mode: Any) -> None:
    assert SAMPLES
    spec = Preprocessing(size=224, resize_mode=mode)
    for path in SAMPLES[::4]:
        with Image.open(path) as photo:
            upright = ImageOps.exif_transpose(photo)
        if upright.mode == "RGB":
            pixels = load_pixels(path, spec, draft=False)
            np.testing.assert_allclose(
                normalise(pixels, spec), theirs(upright, spec), atol=1e-5, err_msg=path.name
            )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("turned", [False, True])
def test_a_draft_is_close_to_the_full_photo(tmp_path: Path, mode: Any, turned: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1
    path = tmp_path / "a.jpg"
    # Sides that no fraction divides: sizes taken from the draft would shift the crop.
    photo = photo_like(201, 300).resize((1003, 1501), Image.Resampling.BICUBIC)
    path.write_bytes(encoded(photo, "JPEG", quality=92, exif=exif))
    spec = Preprocessing(size=112, resize_mode=mode)
    full = load_pixels(path, spec, draft=False).astype(int)
    draft = load_pixels(path, spec).astype(int)
    assert (full != draft).any()
    # A shift by a quarter of a pixel already makes the mean 3.
    assert np.abs(full - draft).mean() < 0.5
    assert np.abs(full - draft).max() <= 4


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(4000, 10), (10, 4000), (20_000, 1), (1, 20_000), (1, 2)])
def test_elongated_photos(mode: Any, shape: tuple[int, int]) -> None:
    spec = Preprocessing(size=224, resize_mode=mode)
    assert preprocess(Image.new("RGB", shape, (9, 8, 7)), spec).shape == (3, 224, 224)


def test_the_middle_of_an_elongated_photo_is_what_open_clip_takes() -> None:
    spec = Preprocessing(size=64)
    # open_clip's own crop is off by up to half a pixel, as it rounds the long side.
    for shape in ((900, 20), (31, 1200)):
        image = photo_like(*shape)
        difference = np.abs(normalise(preprocess(image, spec), spec) - theirs(image, spec))
        assert difference.mean() < 0.05


def test_channels_stay_in_place_whatever_the_graph_takes() -> None:
    spec = Preprocessing(size=64, channel_order="BGR", layout="NHWC", resize_mode="squash")
    pixels = preprocess(quarters(64, 64), spec)
    assert pixels[:, 10, 10].tolist() == [200, 40, 40]
    assert pixels[:, 50, 50].tolist() == [210, 200, 60]


def test_lanczos_differs_and_padding_shows_the_fill() -> None:
    image = photo_like(200, 100)
    spec = Preprocessing(size=64, resize_mode="longest", fill=(1, 2, 3), interpolation="lanczos")
    pixels = preprocess(image, spec)
    assert pixels[:, 0, 0].tolist() == [1, 2, 3]
    assert pixels[:, -1, -1].tolist() == [1, 2, 3]
    expected = np.asarray(image.resize((64, 32), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(pixels[:, 16:48].transpose(1, 2, 0), expected)


def test_normalising_scales_first() -> None:
    spec = Preprocessing(size=8, value_range=(-1.0, 1.0), mean=(0.0, 0.5, 0.0), std=(1.0, 1.0, 0.5))
    pixels = np.zeros((2, 3, 8, 8), np.uint8)
    pixels[1] = 255
    result = normalise(pixels, spec)
    assert result.dtype == np.float32
    assert result[0, :, 0, 0].tolist() == [-1.0, -1.5, -2.0]
    assert result[1, :, 0, 0].tolist() == [1.0, 0.5, 2.0]


def test_awkward_photos(awkward_photos: dict[str, Path]) -> None:
    """Red on the left, blue on the right, below a white bar, in every format and mode."""
    spec = Preprocessing(size=64, resize_mode="squash", fill=(0, 255, 0))
    coloured = (
        *("animated_gif", "bmp", "cmyk", "exif_mirrored", "exif_rotated", "odd_name"),
        *("progressive", "tiff", "webp"),
    )
    for name in coloured:
        pixels = load_pixels(awkward_photos[name], spec).astype(int)
        assert pixels[:, 2].min() > 180, name
        np.testing.assert_allclose(pixels[:, 40, 16], (220, 30, 30), atol=30, err_msg=name)
        np.testing.assert_allclose(pixels[:, 40, 48], (30, 30, 220), atol=30, err_msg=name)
    for name in ("palette_transparent", "transparent", "grey_alpha"):
        assert load_pixels(awkward_photos[name], spec)[:, 40, 48].tolist() == [0, 255, 0], name
    for name in ("sixteen_bit", "sixteen_bit_tiff", "grey"):
        left, right = load_pixels(awkward_photos[name], spec)[0, 40, [16, 48]]
        np.testing.assert_allclose((left, right), (87, 52), atol=3, err_msg=name)
    assert (load_pixels(awkward_photos["one_pixel"], spec) == 255).all()
    assert load_pixels(awkward_photos["extreme_aspect"], spec).shape == (3, 64, 64)

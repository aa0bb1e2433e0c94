import numpy as np
import pytest
from PIL import Image

from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.preprocess import load_pixels, preprocess
from retrieval.vision.resizing import RESIZINGS, STANDS_FOR, convolve, cubic, lanczos, resize


def photo(width, height):
    """Smooth waves with a little noise, in three different channels."""
    row, column = np.mgrid[:height, :width]
    waves = [np.sin(row / 9 + phase) + np.cos(column / 7 - phase) for phase in range(3)]
    noise = np.random.default_rng(0).normal(size=(height, width, 3))
    return Image.fromarray((128 + 50 * np.stack(waves, axis=2) + 3 * noise).astype(np.uint8))


def stripes(width, height, period):
    """Every period-th column is white, all others are black."""
    columns = np.where(np.arange(width) % period == 0, 255, 0).astype(np.uint8)
    return Image.fromarray(np.broadcast_to(columns[None, :, None], (height, width, 3)).copy())


@pytest.mark.parametrize("resizing", RESIZINGS)
def test_one_colour_stays_and_the_size_is_what_was_asked(resizing):
    flat = Image.new("RGB", (61, 47), (200, 100, 3))
    for size in ((16, 16), (20, 9), (90, 70)):
        resized = np.asarray(resize(flat, size, (1.5, 0.25, 60.75, 46.0), resizing))
        assert resized.shape == (size[1], size[0], 3)
        assert np.abs(resized.astype(int) - (200, 100, 3)).max() <= 1


@pytest.mark.parametrize("resizing", RESIZINGS)
def test_the_box_is_all_that_is_seen_but_for_its_rim(resizing):
    split = np.zeros((80, 120, 3), np.uint8)
    split[:, 60:] = 255
    resized = np.asarray(resize(Image.fromarray(split), (20, 20), (72, 0, 112, 80), resizing))
    assert (resized[:, 3:] == 255).all()


@pytest.mark.parametrize("resizing", RESIZINGS)
def test_all_filters_agree_on_a_smooth_photo(resizing):
    image = photo(160, 120)
    box = (4.5, 3.0, 155.0, 118.25)
    expected = np.asarray(resize(image, (48, 40), box, "bilinear")).astype(int)
    found = np.asarray(resize(image, (48, 40), box, resizing)).astype(int)
    # A shift by half a pixel would be 5 and more.
    assert np.abs(found - expected).mean() < 3
    assert np.abs(found[4:-4, 4:-4] - expected[4:-4, 4:-4]).max() < 16


def test_convolution_with_the_kernels_of_pillow_is_pillow():
    image, box = photo(150, 97), (2.25, 1.5, 149.0, 96.0)
    for kernel, radius, reference in (
        (lanczos(3), 3, "lanczos"),
        (cubic(0, 0.5), 2, "bicubic"),
    ):
        expected = np.asarray(resize(image, (40, 36), box, reference)).astype(int)
        found = np.asarray(convolve(image, (40, 36), box, kernel, radius)).astype(int)
        assert np.abs(found - expected).max() <= 2


@pytest.mark.parametrize("resizing", RESIZINGS)
def test_only_filters_that_widen_see_every_pixel(resizing):
    shrunk = np.asarray(resize(stripes(160, 40, 5), (32, 8), (0, 0, 160, 40), resizing))
    middle = shrunk[2:-2, 4:-4].astype(int)
    if resizing in ("plain-bilinear", "linear-light-bicubic"):
        # The middle of five columns, and its neighbours, are black.
        assert middle.max() < 26
    elif resizing.startswith("linear-light"):
        assert middle.mean() > 80
    else:
        assert middle.mean() == pytest.approx(51, abs=10)


def test_light_is_averaged_where_core_image_does():
    box = (0, 0, 64, 16)
    found = np.asarray(resize(stripes(64, 16, 2), (8, 4), box, "linear-light-lanczos"))
    stored = np.asarray(resize(stripes(64, 16, 2), (8, 4), box, "lanczos"))
    assert found[1:3, 2:6].mean() == pytest.approx(188, abs=2)
    assert stored[1:3, 2:6].mean() == pytest.approx(128, abs=2)


def test_halving_and_mipmaps_see_what_one_step_skips():
    lines = stripes(256, 64, 8)
    box = (0, 0, 256, 64)
    plain, halved, mipmap = (
        np.asarray(resize(lines, (32, 8), box, one)).mean()
        for one in ("plain-bilinear", "halved-bilinear", "mipmap-bilinear")
    )
    assert plain < 5
    assert halved == pytest.approx(32, abs=2)
    assert mipmap == pytest.approx(32, abs=2)


def test_preprocessing_takes_another_filter_and_is_unchanged_without(tmp_path):
    path = tmp_path / "photo.png"
    photo(200, 130).save(path)
    for mode in ("shortest", "squash", "longest"):
        spec = Preprocessing(size=32, resize_mode=mode, interpolation="bilinear")
        own = load_pixels(path, spec)
        assert (own == load_pixels(path, spec, resizing="bilinear")).all()
        other = load_pixels(path, spec, resizing="lanczos5")
        assert other.shape == own.shape
        assert (other != own).any()
        assert (other == preprocess(photo(200, 130), spec, resizing="lanczos5")).all()


def test_every_filter_says_whose_it_is():
    assert set(STANDS_FOR) == set(RESIZINGS)

"""The shell's pixels are Python's, whatever the bundle asks for."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from retrieval.encode.onnx import as_input
from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.preprocess import load_pixels
from tests.vision.made_photos import encoded

FILTERS = ("bilinear", "bicubic", "lanczos")
MODES = ("squash", "shortest", "longest")
SIZES = ((301, 203), (97, 260), (31, 17), (900, 40), (64, 64))


def in_browser(page: Page, photo: bytes, spec: Preprocessing, form: str = "planes") -> np.ndarray:
    """Pixels as the shell makes them; ``input`` is what a tower is given."""
    made = page.evaluate(
        """async ([photo, spec, form]) => {
          const { openPhoto } = await import("/src/vision/decode.js");
          const { preprocess, asInput } = await import("/src/vision/preprocess.js");
          const bytes = Uint8Array.from(atob(photo), (one) => one.charCodeAt(0));
          const open = await openPhoto(new Blob([bytes]), spec, "photo");
          const planes = preprocess(open, spec);
          open.close();
          const called = { layout: spec.layout, type: spec.pixel_type };
          const { data, dims } = form === "planes"
            ? { data: planes, dims: [3, spec.size, spec.size] } : asInput(planes, spec, called);
          return [Array.from(data), dims, data.constructor.name];
        }""",
        [base64.b64encode(photo).decode(), spec.model_dump(mode="json"), form],
    )
    values, shape, kind = made
    return np.array(values, {"Uint8Array": np.uint8, "Float32Array": np.float32}[kind]).reshape(
        shape
    )


def in_python(folder: Path, photo: bytes, spec: Preprocessing) -> np.ndarray:
    path = folder / "photo"
    path.write_bytes(photo)
    return load_pixels(path, spec, draft=False)


def noise(width: int, height: int, *, channels: int = 3, low: int = 0, high: int = 256) -> bytes:
    pixels = np.random.default_rng(width).integers(low, high, (height, width, channels), np.uint8)
    return encoded(Image.fromarray(pixels), "PNG")


def largest_difference(page: Page, folder: Path, photo: bytes, spec: Preprocessing) -> int:
    found, expected = in_browser(page, photo, spec), in_python(folder, photo, spec)
    return int(np.abs(found.astype(int) - expected).max())


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize("mode", MODES)
def test_resizing_equals_pillow_within_rounding(
    modules: Page, tmp_path: Path, interpolation: str, mode: str
):
    spec = Preprocessing(size=48, resize_mode=mode, interpolation=interpolation, fill=(10, 200, 90))
    for width, height in SIZES:
        # Versions of Pillow differ in which direction comes first; between the two, values are
        # rounded, and cut where a filter overshoots, which these pixels do not let it.
        photo = noise(width, height, low=96, high=160)
        assert largest_difference(modules, tmp_path, photo, spec) <= 1, (width, height)


@pytest.mark.parametrize("interpolation", FILTERS)
def test_columns_then_rows_equal_pillow_to_the_bit(modules: Page, interpolation: str):
    spec = Preprocessing(size=48, resize_mode="squash", interpolation=interpolation)
    for width, height in SIZES:
        photo = noise(width, height)
        image, by = Image.open(io.BytesIO(photo)), Image.Resampling[interpolation.upper()]
        expected = np.asarray(image.resize((48, height), by).resize((48, 48), by))
        difference = in_browser(modules, photo, spec).astype(int) - expected.transpose(2, 0, 1)
        # The sine of lanczos may differ in its last bit from one library to another.
        assert np.abs(difference).max() <= (interpolation == "lanczos"), (width, height)


@pytest.mark.parametrize("policy", ["apply", "ignore"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_obeyed(modules: Page, tmp_path: Path, orientation: int, policy: str):
    ramp = np.zeros((40, 64, 3), np.uint8)
    ramp[..., 0] = np.linspace(0, 255, 64)
    ramp[..., 1] = np.linspace(0, 255, 40)[:, None]
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = encoded(Image.fromarray(ramp), "JPEG", quality=95, exif=exif)
    spec = Preprocessing(size=32, resize_mode="squash", exif_orientation=policy)
    assert largest_difference(modules, tmp_path, photo, spec) <= 6


def test_transparent_pixels_are_laid_over_the_fill(modules: Page, tmp_path: Path):
    spec = Preprocessing(size=24, fill=(200, 100, 50))
    photo = noise(40, 30, channels=4)
    assert largest_difference(modules, tmp_path, photo, spec) <= 2


def test_a_colour_profile_changes_no_numbers(modules: Page, tmp_path: Path):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    image = Image.fromarray(np.full((20, 20, 3), (180, 90, 30), np.uint8))
    spec = Preprocessing(size=16)
    photo = encoded(image, "PNG", icc_profile=profile)
    assert (in_browser(modules, photo, spec) == in_python(tmp_path, photo, spec)).all()


@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("type", ["uint8", "float32"])
def test_a_tower_gets_its_layout_order_and_type(
    modules: Page, tmp_path: Path, order: str, layout: str, type: str
):
    spec = Preprocessing(size=16, channel_order=order, layout=layout, pixel_type=type)
    photo = noise(16, 16)
    found = in_browser(modules, photo, spec, "input")
    expected = as_input(in_python(tmp_path, photo, spec)[np.newaxis], spec)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert (found == expected).all()

"""The app resizes as Pillow does, within one level, whatever the bundle asks for."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from export.verify.golden_inputs import pattern
from retrieval.encode.onnx import as_input
from retrieval.spec.bundle import MANIFEST, read_bundle
from retrieval.spec.files import write_json
from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.decode import EXTENT, open_photo
from retrieval.vision.preprocess import preprocess
from tests.e2e.android.android_core import Core, argb

BUNDLE = Path("data/default").resolve()
PHOTOS = Path("data/photos").resolve()
SIZE = 48
MODES = ("shortest", "squash", "longest")
FILTERS = ("bilinear", "bicubic", "lanczos")
SHAPES = [(97, 64), (64, 97), (48, 48), (49, 48), (7, 30), (500, 41), (41, 500), (1, 1), (3, 640)]


@pytest.fixture(autouse=True)
def across_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow 13 resizes some tall pictures down first, older ones none; each pass rounds."""
    resize = Image.Image.resize

    def in_two_passes(self: Image.Image, size: Any, filter: Any, box: Any) -> Image.Image:
        left, top, right, bottom = box
        narrow = resize(self, (size[0], self.height), filter, (left, 0, right, self.height))
        return resize(narrow, size, filter, (0, top, size[0], bottom))

    monkeypatch.setattr(Image.Image, "resize", in_two_passes)


def noise(width: int, height: int, channels: int = 3) -> Image.Image:
    """Noise with smooth parts, whose edges ring under the longer filters."""
    random = np.random.default_rng(width * 1000 + height)
    pixels = random.integers(0, 256, (height, width, channels), np.uint8)
    pixels[: height // 2, : width // 2] = (250, 5, 120, 60)[:channels]
    return Image.fromarray(pixels)


def found(core: Core, spec: Preprocessing, image: Image.Image, **values: Any) -> NDArray[np.uint8]:
    core("preprocessing", spec=spec.model_dump(mode="json"))
    data = base64.b64decode(core("pixels", **argb(image), **values))
    rows = np.frombuffer(data, np.uint8).reshape(spec.size, spec.size, 3)
    return rows.transpose(2, 0, 1)


def assert_near(got: NDArray[np.uint8], right: NDArray[np.uint8], within: int = 1) -> None:
    assert np.abs(got.astype(int) - right.astype(int)).max() <= within


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("interpolation", FILTERS)
def test_all_modes_filters_and_shapes(core: Core, mode: Any, interpolation: Any) -> None:
    spec = Preprocessing(
        size=SIZE, resize_mode=mode, interpolation=interpolation, fill=(9, 99, 199)
    )
    for width, height in SHAPES:
        image = noise(width, height)
        got = found(core, spec, image)
        # Both compute in whole numbers, so they are not only near.
        np.testing.assert_array_equal(got, preprocess(image, spec), f"{width} x {height}")


@pytest.mark.parametrize("name", ["wooden_bird.jpg", "stone_windmill.jpg", "fig_in_red_bowl.png"])
def test_real_photos_against_pillow_as_it_is(
    core: Core, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.undo()
    with Image.open(PHOTOS / name) as photo:
        image = photo.convert("RGB")
    assert image.width != image.height
    for mode in MODES:
        spec = Preprocessing(size=160, resize_mode=mode, interpolation="bilinear")
        assert_near(found(core, spec, image), preprocess(image, spec))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", MODES)
def test_every_orientation(tmp_path: Path, core: Core, orientation: int, mode: Any) -> None:
    spec = Preprocessing(size=SIZE, resize_mode=mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for width, height in ((131, 80), (77, 140)):
        image = noise(width, height)
        path = tmp_path / "photo.png"
        image.save(path, exif=exif)
        upright = open_photo(path)
        np.testing.assert_array_equal(
            found(core, spec, image, orientation=orientation),
            preprocess(upright, spec, extent=upright.info[EXTENT]),
        )


def test_orientation_is_ignored_where_the_bundle_says_so(core: Core) -> None:
    spec = Preprocessing(size=SIZE, exif_orientation="ignore")
    image = noise(90, 60)
    got = found(core, spec, image, orientation=6)
    np.testing.assert_array_equal(got, preprocess(image, spec))


def test_an_unknown_orientation_is_upright(core: Core) -> None:
    spec = Preprocessing(size=SIZE)
    image = noise(90, 60)
    for orientation in (0, 9, -1, 255):
        got = found(core, spec, image, orientation=orientation)
        np.testing.assert_array_equal(got, preprocess(image, spec))


@pytest.mark.parametrize("mode", MODES)
def test_a_photo_decoded_at_a_fraction_does_not_shift(core: Core, mode: Any) -> None:
    # 1003 columns at a quarter fill 250.75 of 251.
    spec = Preprocessing(size=SIZE, resize_mode=mode, interpolation="bilinear")
    image = noise(251, 130)
    filled = (250.75, 129.5)
    got = found(core, spec, image, filled_width=filled[0], filled_height=filled[1])
    assert_near(got, preprocess(image, spec, extent=(0, 0, *filled)))
    turned = found(
        core, spec, image, filled_width=filled[0], filled_height=filled[1], orientation=6
    )
    upright = image.transpose(Image.Transpose.ROTATE_270)
    extent = (130 - filled[1], 0, 130, filled[0])
    assert_near(turned, preprocess(upright, spec, extent=extent))


def test_transparent_pixels_are_laid_over_the_fill(core: Core) -> None:
    spec = Preprocessing(size=SIZE, fill=(200, 10, 60))
    image = noise(80, 60, channels=4)
    assert_near(found(core, spec, image), preprocess(image, spec))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_inputs_have_the_type_layout_and_order_of_the_file(
    tmp_path: Path, core: Core, layout: Any, order: Any, kind: Any
) -> None:
    values = read_bundle(BUNDLE).model_dump(mode="json")
    values["preprocessing"] |= {"size": 16, "channel_order": order}
    values["files"][0]["interface"] = {
        "input": "pixels",
        "output": "embedding",
        "type": kind,
        "layout": layout,
        "batch": None,
        "requires": None,
    }
    write_json(tmp_path / MANIFEST, values)
    core("bundle", folder=str(tmp_path))
    answer = core("input", file="onnx/image-mixed.onnx")
    spec = Preprocessing(size=16, channel_order=order, layout=layout, pixel_type=kind)
    right = as_input(pattern(16)[None], spec)
    assert answer["shape"] == list(right.shape)
    np.testing.assert_array_equal(
        np.frombuffer(base64.b64decode(answer["bytes"]), kind).reshape(right.shape), right
    )

import sys

import pytest
import torch

from export.quantize.executorch import with_int8_rows
from export.quantize.executorch_biases import channel_means, correct_biases
from export.targets.graphs import image_graph, text_graph
from export.targets.registry import find_target
from export.targets.target import Conversion
from export.verify.parity import agreement, reference
from retrieval.encode.onnx import as_input
from retrieval.spec.errors import BundleError, ExportError, MissingExtraError
from tests.export.smooth import smooth_photos
from tests.export.uneven import with_uneven_features
from tests.tiny import SIZE, tiny_model, tiny_tokenizer

TARGET = find_target("executorch")
BLOCKS = {"width": 64, "head_dim": 16, "layers": 1, "heads": [2], "neurons": 64}
SENTENCES = ["a dog", "", "two cats on a mat", "snow", "a man runs at the sea", "red bicycle"]


def image_conversion(*, calibration=True, model=None):
    model = model or tiny_model(
        image={"kind": "timm", "backbones": [{"name": "test_efficientnet"}]},
        layout="NHWC",
        channel_order="BGR",
        pixel_type="float32",
    )
    # As `TorchEncoder` leaves it, which bundles are checked against before they are exported.
    model.image.to(memory_format=torch.channels_last)
    inputs = smooth_photos(12, SIZE)
    calibrated = inputs[:8] if calibration else None
    return Conversion(model, "image", image_graph(model), inputs[:2], calibrated, {"name": "tiny"})


def text_conversion():
    model = tiny_model(text={"blocks": BLOCKS})
    ids = tiny_tokenizer().batch(SENTENCES)
    return Conversion(model, "text", text_graph(model), ids[:2], metadata={"licence": "CC0-1.0"})


@pytest.fixture(scope="module")
def image():
    return TARGET.trace(image_conversion())


@pytest.fixture(scope="module")
def image_files(image, tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    return {
        precision: (path := folder / f"{precision}.pte", image.write(path, precision))
        for precision in ("fp32", "int8-static")
    }


@pytest.fixture(scope="module")
def text():
    return TARGET.trace(text_conversion())


@pytest.fixture(scope="module")
def text_fp32(text, tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text-fp32.pte"
    return path, text.write(path, "fp32")


def test_fp32_text_computes_what_pytorch_does(text, text_fp32):
    path, written = text_fp32
    assert (written.precision, written.interface.type) == ("fp32", "int32")
    assert (written.interface.input, written.interface.output) == ("tokens", "embedding")
    ids = tiny_tokenizer().batch(SENTENCES)
    found = TARGET.open(path, written.interface)(ids)
    assert agreement(reference(text.conversion.graph, ids), found).min_cosine >= 0.9999
    assert b"CC0-1.0" in path.read_bytes()


def test_int8_text_stores_tokens_and_products_in_int8(text, text_fp32, tmp_path):
    path = tmp_path / "text-int8.pte"
    written = text.write(path, "int8")
    ids = tiny_tokenizer().batch(SENTENCES)
    found = TARGET.open(path, written.interface)(ids)
    assert agreement(reference(text.conversion.graph, ids), found).min_cosine >= 0.998
    assert path.stat().st_size < 0.45 * text_fp32[0].stat().st_size


@pytest.mark.parametrize(("precision", "smallest"), [("fp32", 0.9999), ("int8-static", 0.98)])
def test_image_takes_plain_pixels_in_the_order_of_its_spec(image, image_files, precision, smallest):
    path, written = image_files[precision]
    assert (written.interface.type, written.interface.layout) == ("uint8", "NHWC")
    unseen = smooth_photos(12, SIZE)[8:]
    given = as_input(unseen, image.conversion.preprocessing)
    found = TARGET.open(path, written.interface)(unseen)
    assert agreement(reference(image.conversion.graph, given), found).min_cosine >= smallest


def test_a_root_keeps_its_slack_when_features_are_large(tmp_path):
    traced = TARGET.trace(image_conversion(model=with_uneven_features()))
    written = traced.write(tmp_path / "image.pte", "int8-static")
    unseen = smooth_photos(12, SIZE)[8:]
    found = TARGET.open(tmp_path / "image.pte", written.interface)(unseen)
    expected = reference(traced.conversion.graph, as_input(unseen, traced.conversion.preprocessing))
    assert agreement(expected, found).min_cosine >= 0.9


def test_static_int8_stores_convolutions_in_int8(image_files):
    sizes = {precision: path.stat().st_size for precision, (path, _) in image_files.items()}
    assert sizes["int8-static"] < 0.45 * sizes["fp32"]


def test_biases_take_back_what_rounding_shifts():
    layer = torch.nn.Conv2d(3, 4, 3)
    rows = [torch.rand(1, 3, 8, 8) for _ in range(4)]
    exact = torch.export.export(layer, (rows[0],)).module()
    wanted = channel_means(exact, rows)
    with torch.no_grad():
        layer.weight.mul_(1.1)
    rounded = torch.export.export(layer, (rows[0],)).module()
    correct_biases(rounded, wanted, rows)
    [found] = channel_means(rounded, rows).values()
    assert torch.allclose(found, next(iter(wanted.values())), atol=1e-6)


def test_rows_of_an_embedding_are_within_half_a_step():
    graph = text_graph(tiny_model(text={"blocks": BLOCKS}))
    ids = torch.arange(40)[None]
    exact = graph.tower.token_embedding(ids)
    rounded = with_int8_rows(graph).tower.token_embedding(ids)
    step = exact.abs().amax(dim=-1, keepdim=True) / 127
    assert ((exact - rounded).abs() <= step / 2 + 1e-7).all()
    assert isinstance(graph.tower.token_embedding, torch.nn.Embedding), "the model was changed"


def test_static_int8_without_calibration_leaves_nothing_behind(tmp_path):
    traced = TARGET.trace(image_conversion(calibration=False))
    with pytest.raises(ExportError, match=r"int8-static .* calibration .* choose int8"):
        traced.write(tmp_path / "image.pte", "int8-static")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("precision", ["int8-static", "pal4"])
def test_what_is_refused_says_what_to_choose(text, tmp_path, precision):
    with pytest.raises(ExportError, match="choose .*int8"):
        text.write(tmp_path / "text.pte", precision)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["cut", "other", "empty", "missing"])
def test_a_damaged_file_is_one_line(text_fp32, tmp_path, damage):
    whole, written = text_fp32
    path = tmp_path / "text.pte"
    data = whole.read_bytes()
    damaged = {"cut": data[: len(data) // 2], "other": b"PK" * 999, "empty": b""}
    if damage in damaged:
        path.write_bytes(damaged[damage])
    with pytest.raises(BundleError, match=r"text\.pte.*export it again") as error:
        TARGET.open(path, written.interface)
    assert "\n" not in str(error.value)


class Undecided(torch.nn.Module):
    def forward(self, pixels):
        return pixels if pixels.sum() > 0 else -pixels


class WithoutKernel(torch.nn.Module):
    def forward(self, pixels):
        return torch.special.bessel_j0(pixels.mean(dim=(2, 3)))


@pytest.mark.parametrize("tower", [Undecided, WithoutKernel])
def test_a_tower_that_cannot_be_lowered_is_one_line(tmp_path, capfd, tower):
    model = tiny_model()
    model.image = tower()
    with pytest.raises(ExportError, match="image tower cannot become ExecuTorch: ") as error:
        conversion = Conversion(model, "image", image_graph(model), smooth_photos(2, SIZE))
        TARGET.trace(conversion).write(tmp_path / "image.pte", "fp32")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "executorch.runtime", None)
    with pytest.raises(MissingExtraError, match=r"leanclip\[executorch\]"):
        TARGET.trace(text_conversion())

import json
import sys

import numpy as np
import pytest
import torch

from export.targets.graphs import image_graph, text_graph
from export.targets.litert.flatbuffer import operations, read_metadata, signature_of
from export.targets.registry import find_target
from export.targets.target import Conversion
from export.verify.parity import agreement, reference
from retrieval.encode.onnx import as_input
from retrieval.spec.errors import BundleError, ExportError, MissingExtraError
from tests.export.smooth import smooth_photos
from tests.export.uneven import with_uneven_features
from tests.tiny import SIZE, tiny_model, tiny_tokenizer

TARGET = find_target("litert")
METADATA = {"name": "tiny", "fingerprint": "f00", "licence": "CC0-1.0"}
SMALLEST_COSINE = {"fp32": 0.9999, "fp16": 0.999, "int8": 0.998, "int8-static": 0.97}
BLOCKS = {"width": 48, "head_dim": 16, "layers": 1, "heads": [3], "neurons": 96}
WORDS = ["a", "the", "dog", "cat", "red", "snow", "two", "runs", "on", "mat", "sea", "child"]


def sentences(count):
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, size=random.integers(1, 9))) for _ in range(count)]
    return tiny_tokenizer().batch(texts)


def constants(model, kind):
    """Types of the weights of all operations of a kind."""
    from ai_edge_litert.tools import flatbuffer_utils as tools

    tree = tools.read_model_from_bytearray(bytearray(model))
    (graph,) = tree.subgraphs
    makers = {operator.outputs[0]: operator for operator in graph.operators}
    found = set()
    for operator in graph.operators:
        if tools.opcode_to_name(tree, operator.opcodeIndex) == kind:
            weight = operator.inputs[1]
            if weight in makers:  # widened when the file is loaded
                weight = makers[weight].inputs[0]
            found.add(tools.type_to_name(graph.tensors[weight].type))
    return found


def conversion(tower, *, calibration=True, model=None, **options):
    model = model or tiny_model(**options)
    graph = image_graph(model) if tower == "image" else text_graph(model)
    inputs = smooth_photos(24, SIZE) if tower == "image" else sentences(24)
    return Conversion(
        model,
        tower,
        graph,
        inputs[:3],
        calibration=inputs[:16] if calibration else None,
        metadata={**METADATA, "tower": tower},
    )


class Converted:
    """One tower in LiteRT, and unseen inputs with what PyTorch makes of them."""

    def __init__(self, folder, tower, **options):
        self.folder = folder
        self.conversion = conversion(tower, **options)
        self.traced = TARGET.trace(self.conversion)
        self.inputs = (smooth_photos(24, SIZE) if tower == "image" else sentences(24))[16:]
        spec = self.conversion.preprocessing
        given = as_input(self.inputs, spec) if tower == "image" else self.inputs
        self.expected = reference(self.conversion.graph, given)

    def write(self, precision):
        path = self.folder / f"{precision}.tflite"
        return path, self.traced.write(path, precision)


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    image = {"kind": "vit", "patch": 16, "blocks": BLOCKS}
    return Converted(tmp_path_factory.mktemp("vit"), "image", image=image)


@pytest.fixture(scope="module")
def convolutional(tmp_path_factory):
    """Its spec wants what LiteRT files do not take: they follow their interface instead."""
    return Converted(
        tmp_path_factory.mktemp("convolutional"),
        "image",
        image={"kind": "timm", "backbones": [{"name": "test_efficientnet"}]},
        layout="NHWC",
        channel_order="BGR",
        pixel_type="float32",
    )


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    blocks = {**BLOCKS, "width": 96}
    return Converted(tmp_path_factory.mktemp("text"), "text", text={"blocks": blocks})


@pytest.fixture
def converted(request):
    return request.getfixturevalue(request.param)


EVERY_FILE = [
    (tower, precision)
    for tower in ("vit", "convolutional", "text")
    for precision in TARGET.precisions
    if (tower, precision) != ("text", "int8-static")
]


@pytest.mark.parametrize(("converted", "precision"), EVERY_FILE, indirect=["converted"])
def test_every_precision_computes_what_pytorch_does(converted, precision):
    path, written = converted.write(precision)
    assert written.precision == precision
    found = TARGET.open(path, written.interface)(converted.inputs)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert agreement(converted.expected, found).min_cosine >= SMALLEST_COSINE[precision]


@pytest.mark.parametrize("converted", ["convolutional", "text"], indirect=True)
@pytest.mark.parametrize("precision", TARGET.precisions[:3])
def test_hosts_find_names_types_and_metadata(converted, precision):
    from ai_edge_litert.interpreter import Interpreter

    path, written = converted.write(precision)
    interface = written.interface
    image = converted.conversion.tower == "image"
    signature = signature_of(path.read_bytes())
    assert (signature.input, signature.output) == (interface.input, interface.output)
    assert signature.input == ("pixels" if image else "tokens")
    assert signature.output == "embedding"
    (taken,) = Interpreter(str(path)).get_input_details()
    assert taken["dtype"] == np.dtype("uint8" if image else "int32")
    assert interface.type == taken["dtype"].__name__
    assert interface.layout == ("NHWC" if image else None)
    assert interface.batch == taken["shape"][0] == 1
    if image:
        assert list(taken["shape"]) == [1, SIZE, SIZE, 3]
    assert read_metadata(path.read_bytes()).items() >= METADATA.items()


def test_bytes_shrink_with_the_precision(text):
    size = {name: text.write(name)[0].stat().st_size for name in ("fp32", "fp16", "int8")}
    assert size["fp16"] < 0.6 * size["fp32"]
    assert size["int8"] < 0.4 * size["fp32"], "token embeddings were left in float"
    names = text.write("fp32")[0].read_bytes()
    assert b"blocks/0/attention/query" in names
    assert b"retrieval.models" not in names, "names of classes outweigh small graphs"


def test_dynamic_int8_keeps_depthwise_convolutions_in_half(convolutional):
    path, _ = convolutional.write("int8")
    stored = constants(path.read_bytes(), "DEPTHWISE_CONV_2D")
    assert stored == {"FLOAT16"}, "XNNPACK has no depthwise convolution of dynamic int8"
    assert "INT8" in constants(path.read_bytes(), "CONV_2D")


def test_static_int8_computes_in_int8_inside_the_tower_only(convolutional):
    path, written = convolutional.write("int8-static")
    kinds = operations(path.read_bytes())
    assert {type for kind, type in kinds if kind in ("CONV_2D", "DEPTHWISE_CONV_2D")} == {"INT8"}
    assert kinds[0] == ("CAST", "FLOAT32"), "hosts hand over plain pixels"
    assert kinds[-1] == ("DIV", "FLOAT32"), "hosts get embeddings of length one"
    assert "CONV_2D" not in written.notes["in_float"]
    assert json.dumps(written.notes)


def test_a_root_keeps_its_slack_when_features_are_large(tmp_path):
    uneven = Converted(tmp_path, "image", model=with_uneven_features())
    path, written = uneven.write("int8-static")
    found = TARGET.open(path, written.interface)(uneven.inputs)
    assert agreement(uneven.expected, found).min_cosine >= 0.9


def test_layer_norms_of_a_static_int8_vit_stay_in_float(vit):
    path, written = vit.write("int8-static")
    kinds = operations(path.read_bytes())
    assert {type for kind, type in kinds if kind in ("CONV_2D", "FULLY_CONNECTED")} == {"INT8"}
    assert {"SOFTMAX", "RSQRT"} <= set(written.notes["in_float"])


def test_static_int8_without_calibration_leaves_nothing_behind(convolutional, tmp_path):
    traced = convolutional.traced
    before = traced.conversion
    traced.conversion = conversion("image", calibration=False)
    try:
        with pytest.raises(ExportError, match=r"int8-static .* calibration .* choose int8"):
            traced.write(tmp_path / "image.tflite", "int8-static")
    finally:
        traced.conversion = before
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("precision", ["int8-static", "pal4"])
def test_what_is_refused_says_what_to_choose(text, tmp_path, precision):
    assert "choose" in TARGET.refuses(text.conversion, precision)
    with pytest.raises(ExportError, match="choose .*int8"):
        text.traced.write(tmp_path / "text.tflite", precision)
    assert TARGET.refuses(text.conversion, "int8") is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["cut", "other", "empty", "missing"])
def test_a_damaged_file_is_one_line(vit, tmp_path, damage):
    whole, written = vit.write("fp32")
    path = tmp_path / "image.tflite"
    data = whole.read_bytes()
    damaged = {"cut": data[: len(data) // 2], "other": b"PK" * 999, "empty": b""}
    if damage in damaged:
        path.write_bytes(damaged[damage])
    with pytest.raises(BundleError, match=r"image\.tflite.*export it again") as error:
        TARGET.open(path, written.interface)
    assert "\n" not in str(error.value)


def test_a_file_that_is_called_otherwise_is_refused(vit, text):
    path, _ = vit.write("fp32")
    with pytest.raises(BundleError, match="does not take tokens"):
        TARGET.open(path, text.traced.interface)


class Unconvertible(torch.nn.Module):
    def forward(self, pixels):
        return torch.special.bessel_j0(pixels.mean(dim=(2, 3)))


def test_an_operation_without_converter_is_named_and_nothing_is_printed(capfd):
    model = tiny_model()
    model.image = Unconvertible()
    with pytest.raises(ExportError, match=r"cannot become LiteRT: .*aten\.special_bessel") as error:
        TARGET.trace(Conversion(model, "image", image_graph(model), smooth_photos(2, SIZE)))
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_missing_packages_name_the_extra(monkeypatch):
    for name in ("litert_torch", "ai_edge_litert", "ai_edge_litert.interpreter"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"leanclip\[litert\]"):
        TARGET.trace(conversion("text"))


def test_running_without_the_runtime_names_the_extra(vit, monkeypatch):
    path, written = vit.write("fp32")
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(MissingExtraError, match=r"running a LiteRT file.*leanclip\[litert\]"):
        TARGET.open(path, written.interface)

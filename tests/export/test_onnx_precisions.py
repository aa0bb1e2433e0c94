"""Precisions that measure, calibrate or round to 4 bits, on towers traced from PyTorch."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from export.quantize import sensitivity
from export.quantize.onnx_biases import correct_biases
from export.quantize.onnx_int4 import BLOCK, round_blocks
from export.quantize.onnx_static import find_ranges, quantise_static
from export.quantize.sensitivity import Layer, keep_sensitive
from export.targets.graphs import image_graph, text_graph
from export.targets.onnx import OPSET, OnnxTarget
from export.targets.target import Conversion
from export.verify.parity import agreement, reference
from retrieval.encode.onnx import ACTIVATIONS, DYNAMIC
from retrieval.spec.errors import ExportError
from tests.export.uneven import with_uneven_features
from tests.tiny import SIZE, tiny_model, tiny_tokenizer

CONVOLUTIONS = {"kind": "timm", "backbones": [{"name": "test_efficientnet"}]}
SENTENCES = ["a dog", "", "two cats on a mat " * 9, "snow on a roof"]


def pixels(count, seed):
    """Smooth pictures: noise alone would leave deep layers with nothing to tell apart."""
    random = np.random.default_rng(seed)
    coarse = torch.from_numpy(random.integers(0, 256, (count, 3, 4, 4)).astype(np.float32))
    smooth = torch.nn.functional.interpolate(coarse, SIZE, mode="bicubic").clamp(0, 255)
    return smooth.numpy().astype(np.uint8)


def convolutional():
    """A tower whose batch norms have seen pictures, as those of a trained one have."""
    model = tiny_model(image=CONVOLUTIONS)
    model.train()
    with torch.no_grad():
        for seed in range(20):
            model.image(torch.from_numpy(pixels(16, seed)).float() / 128 - 1)
    return model.eval()


@pytest.fixture(scope="module")
def image():
    model = convolutional()
    return Conversion(model, "image", image_graph(model), pixels(6, 100), pixels(12, 101))


@pytest.fixture(scope="module")
def text():
    model = tiny_model()
    return Conversion(model, "text", text_graph(model), tiny_tokenizer().batch(SENTENCES))


@pytest.fixture(scope="module")
def traced(image, text):
    return {"image": OnnxTarget().trace(image), "text": OnnxTarget().trace(text)}


@pytest.fixture
def write(image, text, traced, tmp_path):
    """Write a tower and run the file: its notes, its graph and its agreement with PyTorch."""

    def written(tower, precision):
        conversion, path = {"image": image, "text": text}[tower], tmp_path / "tower.onnx"
        made = traced[tower].write(path, precision)
        assert made.precision == precision
        found = OnnxTarget().open(path, made.interface)(conversion.examples)
        expected = reference(conversion.graph, conversion.examples)
        return made.notes, onnx.load(path), agreement(expected, found).min_cosine

    return written


def activations(model):
    return {entry.key: entry.value for entry in model.metadata_props}[ACTIVATIONS]


@pytest.mark.parametrize(
    ("tower", "precision", "lowest"),
    [
        ("image", "int8-static", 0.9),
        ("image", "mixed", 0.9),
        ("text", "mixed", 0.995),
        ("text", "int4", 0.9),
    ],
)
def test_files_are_near_pytorch_small_and_clean(write, traced, tmp_path, tower, precision, lowest):
    _, model, cosine = write(tower, precision)
    assert cosine > lowest
    traced[tower].write(tmp_path / "fp16.onnx", "fp16")
    assert model.ByteSize() < (tmp_path / "fp16.onnx").stat().st_size
    assert_clean(model)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("tower", ["image", "text"])
def test_plain_precisions_are_clean(write, tower, precision):
    assert_clean(write(tower, precision)[1])


def assert_clean(model):
    """What keeps a graph small, and readable by every runtime."""
    assert {(entry.domain, entry.version) for entry in model.opset_import} == {("", OPSET)}
    assert not {node.op_type for node in model.graph.node} & {"ArgMax", "If", "Loop", "Attention"}
    assert {node.domain for node in model.graph.node} <= {""}
    assert list(model.graph.value_info) == []
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    # ONNX Runtime 1.31 cannot load weights that share their zero points.
    zeros = {n.input[2] for n in model.graph.node if n.op_type == "DequantizeLinear"}
    own = [tensor for tensor in model.graph.initializer if tensor.name not in zeros]
    large = [tensor for tensor in own if np.prod(tensor.dims) >= 256]
    arrays = [numpy_helper.to_array(tensor) for tensor in large]
    contents = [(array.dtype, array.shape, array.tobytes()) for array in arrays]
    assert len(contents) == len(set(contents)), "an initialiser is stored twice"
    names = [tensor.name for tensor in model.graph.initializer]
    read = {name for node in model.graph.node for name in node.input}
    assert len(names) == len(set(names))
    assert set(names) <= read, "an initialiser is stored that nothing reads"


def test_corrected_biases_bring_channels_back_to_their_means(image, traced, tmp_path):
    traced["image"].write(tmp_path / "fp32.onnx", "fp32")
    exact, photos = onnx.load(tmp_path / "fp32.onnx"), image.calibration
    rounded = quantise_static(exact, find_ranges(exact, photos))
    before = shifts(exact, rounded, photos)
    correct_biases(exact, rounded, photos)
    after = shifts(exact, rounded, photos)
    assert len(before) > 10
    # Gates stay in float, and so keep what shifts their inputs.
    assert np.median(after) < 0.01 * np.median(before)


def shifts(exact, rounded, photos):
    """How far the mean of each convolution's output lies from what it should be."""
    wanted, found = (convolution_means(model, photos) for model in (exact, rounded))
    return [np.abs(found[name] - mean).mean() for name, mean in wanted.items()]


def convolution_means(model, photos):
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    nodes = [node for node in probed.graph.node if node.op_type == "Conv"]
    probed.graph.output.extend(
        helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, None) for node in nodes
    )
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(probed.SerializeToString(), options)
    outputs = session.run(
        [node.output[0] for node in nodes], {session.get_inputs()[0].name: photos}
    )
    return {
        node.name: output.mean(axis=(0, 2, 3)) for node, output in zip(nodes, outputs, strict=True)
    }


def test_static_convolutions_have_int8_weights_with_a_scale_for_each_channel(write):
    notes, model, _ = write("image", "int8-static")
    assert notes["photos"] == 12
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    makers = {node.output[0]: node for node in model.graph.node}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert len(convolutions) > 10
    for node in convolutions:
        maker = makers[node.input[1]]
        assert maker.op_type == "DequantizeLinear"
        weight, scale = tensors[maker.input[0]], tensors[maker.input[1]]
        assert weight.dtype == np.int8
        assert scale.dtype == np.float32
        assert scale.shape == weight.shape[:1]
        assert makers[node.input[0]].op_type == "DequantizeLinear"
    # One scale for all photos: they may share a batch.
    assert activations(model) != DYNAMIC


def test_a_root_keeps_its_slack_when_features_are_large(tmp_path):
    model = with_uneven_features()
    tower = Conversion(model, "image", image_graph(model), pixels(6, 100), pixels(12, 101))
    made = OnnxTarget().trace(tower).write(tmp_path / "tower.onnx", "int8-static")
    found = OnnxTarget().open(tmp_path / "tower.onnx", made.interface)(tower.examples)
    assert np.isfinite(found).all()


def test_mixed_says_which_layers_stayed_float_and_why(write, monkeypatch):
    monkeypatch.setattr(sensitivity, "TARGET", 1.0)
    notes, model, cosine = write("text", "mixed")
    kept = [entry["layer"] for entry in notes["kept_in_float"]]
    errors = [entry["error_alone"] for entry in notes["kept_in_float"]]
    assert kept
    assert errors == sorted(errors, reverse=True)
    stored = {tensor.name for tensor in model.graph.initializer}
    assert all(f"{name}.half" in stored and f"{name}.int8" not in stored for name in kept)
    assert cosine > write("text", "int8")[2]
    assert notes["mean_cosine"] > notes["mean_cosine_without"]


def scaled(scales):
    """A graph whose embedding is its scales, brought to length one."""
    nodes = [
        helper.make_node("Mul", ["x", "scales"], ["y"]),
        helper.make_node("LpNormalization", ["y"], ["embedding"]),
    ]
    taken = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8])
    given = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", 8])
    tensor = numpy_helper.from_array(np.array(scales, np.float32), "scales")
    graph = helper.make_graph(nodes, "graph", [taken], [given], [tensor])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)


def test_the_layer_that_is_spoilt_by_rounding_is_the_one_that_is_kept():
    layers = [Layer("harmless", 10), Layer("spoilt", 10), Layer("large", 180)]

    def quantised(keep):
        first = 1 if "spoilt" in keep else 3
        return scaled([first, 1 if "large" in keep else -1, *[1] * 6])

    mixed = keep_sensitive(scaled([1] * 8), layers, np.ones((2, 8), np.float32), quantised)
    # The large one is worse, but is more than the share of the work that may stay float.
    assert [entry["layer"] for entry in mixed.notes["kept_in_float"]] == ["spoilt"]
    assert mixed.notes["mean_cosine_without"] == pytest.approx(0.7071, abs=1e-4)
    assert mixed.notes["mean_cosine"] == pytest.approx(0.75)


def test_int4_packs_two_codes_to_a_byte_and_keeps_tables_in_int8_rows(write):
    model = write("text", "int4")[1]
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    packed = [array for name, array in tensors.items() if name.endswith(".packed")]
    assert len(packed) == 12, "six matrices in each of two blocks"
    assert all(array.dtype == np.uint8 for array in packed)
    assert tensors["tower.token_embedding.weight.int8"].dtype == np.int8


def test_blocks_are_rounded_no_worse_than_by_their_greatest_weight():
    blocks = np.random.default_rng(0).standard_t(3, (200, BLOCK)).astype(np.float32)
    blocks[0] = 0
    codes, scales = round_blocks(blocks)
    assert codes.min() >= -8
    assert codes.max() <= 7
    assert (scales == scales.astype(np.float16)).all()
    plain = np.abs(blocks).max(axis=1, keepdims=True) / 7
    usual = np.square(np.round(blocks[1:] / plain[1:]) * plain[1:] - blocks[1:]).sum()
    assert np.square(codes * scales - blocks).sum() < 0.95 * usual
    assert (codes[0] == 0).all()


@pytest.mark.parametrize(
    ("tower", "precision", "calibrated", "reason"),
    [
        ("text", "int8-static", True, r"transformers .*; choose int8"),
        ("image", "int4", True, r"convolutions .* 4 bits; choose int8"),
        ("image", "int8-static", False, "name some with --calibrate"),
        ("image", "mixed", False, "name some with --calibrate"),
        ("image", "pal4", True, "ONNX has no pal4 files"),
        ("image", "mixed", True, None),
        ("text", "mixed", False, None),
        ("text", "int4", False, None),
    ],
)
def test_what_makes_no_sense_is_refused_with_an_alternative(
    image, text, tower, precision, calibrated, reason
):
    given = {"image": image, "text": text}[tower]
    calibration = given.examples if calibrated else None
    conversion = Conversion(given.model, tower, given.graph, given.examples, calibration)
    found = OnnxTarget().refuses(conversion, precision)
    if reason is None:
        assert found is None
    else:
        with pytest.raises(ExportError, match=reason):
            raise ExportError(found)


def test_static_without_photos_is_one_line(traced, tmp_path, monkeypatch):
    monkeypatch.setattr(traced["image"], "_calibration", None)
    with pytest.raises(ExportError, match="the image tower needs photos to be calibrated with"):
        traced["image"].write(tmp_path / "image.onnx", "int8-static")
    assert list(tmp_path.iterdir()) == []

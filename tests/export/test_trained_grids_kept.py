"""Grids of quantised training in files that have others: the same values, or one line."""

import json

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from export.quantize.kept import TRAINED, note_trained, rounding_line
from export.targets.graphs import image_graph, text_graph
from export.targets.litert.flatbuffer import weights
from export.targets.registry import find_target
from export.targets.target import Conversion
from retrieval.compress.quantise.grids import on_grid, split
from retrieval.models.checkpoint import save_checkpoint
from retrieval.spec.quantisation import Grid, Quantisation
from tests.export.coreml.ml_program import MLProgram
from tests.export.smooth import smooth_photos
from tests.tiny import SIZE, tiny_model, tiny_tokenizer

ONE_LAYER = {"width": 32, "head_dim": 16, "layers": 1, "heads": 2, "neurons": 64}
TEXT = {"blocks": ONE_LAYER}
CONVOLUTIONAL = {"kind": "timm", "backbones": [{"name": "test_efficientnet"}]}
LINEAR = "text.blocks.0.up.weight"
TABLE = "text.token_embedding.weight"


def trained(kind, tower="text", **options):
    """A model whose weights lie on grids, as quantised training leaves them."""
    torch.manual_seed(3)
    model = tiny_model(text=TEXT, **options)
    grids = {}
    for name, weight in model.named_parameters():
        if name.startswith(tower) and weight.ndim > 1 and weight.numel() > 512:
            rows = "matrix" if kind == "ternary" and "embedding" not in name else "channel"
            grids[name] = Grid(kind=kind, rows=rows)
            weight.data = on_grid(weight.data, grids[name])
    model.config = model.config.model_copy(update={"quantisation": Quantisation(grids=grids)})
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            # Either sign; rows that are almost zero have scales too small for float16.
            module.weight.data.uniform_(0.5, 1.5).mul_(torch.randn_like(module.weight).sign())
            module.running_mean.normal_(std=0.1)
    return model.eval()


def conversion(model, tower):
    if tower == "text":
        ids = tiny_tokenizer().batch(["a dog", "", "two cats on a mat"])
        return Conversion(model, tower, text_graph(model), ids)
    return Conversion(model, tower, image_graph(model), smooth_photos(3, SIZE))


def file_of(model, tower, format, folder, precision="int8"):
    """A written file's weights and what its notes say of trained ones."""
    target = find_target(format)
    path = folder / f"tower{target.suffix}"
    written = target.trace(conversion(model, tower)).write(path, precision)
    if format == "litert":
        return weights(path.read_bytes()), written.notes[TRAINED]
    return list(MLProgram(path).decompressed().values()), written.notes[TRAINED]


@pytest.mark.parametrize("format", ["coreml", "litert"])
def test_int8_grids_are_kept_with_their_scales(format, tmp_path):
    model = trained("int8")
    stored, notes = file_of(model, "text", format, tmp_path)
    assert notes == {"weights": len(model.config.quantisation.grids), "rounded_again": []}
    for name in (LINEAR, TABLE):
        weight = model.get_parameter(name).detach()
        codes, scales = split(weight, Grid(kind="int8"))
        found = [
            one
            for values in stored
            for one in (values, values.T)
            if one.shape == weight.shape and (np.round(one / scales.numpy()) == codes.numpy()).all()
        ]
        assert found, name
        # Core ML's scales are float16, LiteRT's float32.
        off = 2**-10 if format == "coreml" else 1e-6
        np.testing.assert_allclose(found[0], weight.numpy(), rtol=off, atol=0)


def test_convolutions_keep_their_grid_through_batch_norm(tmp_path):
    model = trained("int8", "image", image=CONVOLUTIONAL)
    for format in ("coreml", "litert"):
        _, notes = file_of(model, "image", format, tmp_path)
        assert notes["weights"] > 10
        assert notes["rounded_again"] == [], format


@pytest.mark.parametrize("format", ["coreml", "litert"])
def test_grids_that_a_format_has_not_are_named(format, tmp_path):
    model = trained("int4")
    _, notes = file_of(model, "text", format, tmp_path)
    assert {LINEAR, TABLE} <= set(notes["rounded_again"])


def test_ternary_weights_are_kept_by_int8():
    model = trained("ternary")
    stored = [weight.detach().numpy() for weight in model.parameters() if weight.ndim > 1]
    assert note_trained(model, "text", stored)[TRAINED]["rounded_again"] == []


def test_values_that_are_off_by_a_fraction_of_a_code_are_not_the_trained_ones():
    model = trained("int8")
    stored = {n: w.detach().numpy() for n, w in model.named_parameters() if w.ndim > 1}
    assert note_trained(model, "image", stored.values()) == {}
    halved = {n: w.astype(np.float16).astype(np.float32) for n, w in stored.items()}
    assert note_trained(model, "text", halved.values())[TRAINED]["rounded_again"] == []
    moved = stored[LINEAR].copy()
    moved[3, 5] += 0.4 * np.abs(moved[3]).max() / 127
    other = {**stored, LINEAR: moved}
    assert note_trained(model, "text", other.values())[TRAINED]["rounded_again"] == [LINEAR]


def test_export_says_in_one_line_what_is_rounded_again(leanclip, tmp_path):
    save_checkpoint(tmp_path / "checkpoint", trained("int4"), tiny_tokenizer())
    arguments = ("--to", "litert", "--precision", "int8", "--json")
    status, out, said = leanclip("export", tmp_path / "checkpoint", tmp_path / "bundle", *arguments)
    assert status == 0, said
    assert json.loads(out)["fingerprint"]
    (line,) = said.strip().splitlines()
    assert line.startswith("litert/text-int8.tflite: ")
    assert "are rounded again, such as text." in line
    assert line.endswith("--to onnx --precision trained does")


def test_nothing_is_said_of_what_is_kept():
    assert rounding_line("file", {}) is None
    assert rounding_line("file", {TRAINED: {"weights": 3, "rounded_again": []}}) is None


def test_static_onnx_convolutions_keep_their_grid(tmp_path):
    model = trained("int8", "image", image=CONVOLUTIONAL)
    photos = smooth_photos(6, SIZE)
    given = Conversion(model, "image", image_graph(model), photos[:3], calibration=photos)
    path = tmp_path / "image.onnx"
    find_target("onnx").trace(given).write(path, "int8-static")
    stored = convolution_weights(onnx.load(path))
    assert len(stored) > 10
    names = {name for name in model.config.quantisation.grids if model.get_parameter(name).ndim > 2}
    lost = note_trained(model, "image", stored)[TRAINED]["rounded_again"]
    assert names, "nothing was trained on a grid"
    assert not names & set(lost)


def convolution_weights(model):
    """The numbers that the convolutions of a static graph compute with."""
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    makers = {node.output[0]: node for node in model.graph.node}
    found = []
    for node in model.graph.node:
        if node.op_type == "Conv":
            codes, scales = (arrays[name] for name in makers[node.input[1]].input[:2])
            found.append(codes.astype(np.float32) * scales[:, None, None, None])
    return found

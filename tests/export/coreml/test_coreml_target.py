import errno
import json
import shutil

import coremltools
import numpy as np
import pytest
import torch
from torch import nn

import export.targets.coreml.target as target_module
from export.targets.coreml.graph import Scaling, scaling
from export.targets.registry import find_target
from export.verify.parity import agreement
from retrieval.models import transformer
from retrieval.spec.errors import ExportError, MissingExtraError
from retrieval.spec.files import sha256_path, size_of
from tests.export.coreml.conversions import conversion, traced, truth
from tests.export.coreml.ml_program import MLProgram
from tests.tiny import CONTEXT, DIM, SIZE, tiny_model

# Measured on these towers, whose random weights suffer more than trained ones, with a margin.
SMALLEST_COSINE = {
    "fp32": 0.9999,
    "fp16": 0.999,
    "int8": 0.999,
    "pal8": 0.999,
    "pal6": 0.98,
    "pal4": 0.8,
}
# Root of the mean squared error of a compressed weight, to its own root mean square. What a
# grid of so many bits costs a bell curve; a scale that is wrong by a fifth costs 0.2.
LARGEST_ERROR = {"int8": 0.015, "pal8": 0.015, "pal6": 0.05, "pal4": 0.16}
TOWERS = ("image", "text")
ONE_LAYER = {
    "kind": "vit",
    "blocks": {"width": 32, "head_dim": 16, "layers": 1, "heads": 2, "neurons": 64},
}
TEXT = {"blocks": ONE_LAYER["blocks"]}


def _written(path, model, tower, precision):
    traced(model, tower).write(path, precision)
    return MLProgram(path)


@pytest.mark.parametrize("precision", SMALLEST_COSINE)
@pytest.mark.parametrize("tower", TOWERS)
def test_program_computes_what_pytorch_does(conversions, program, tower, precision):
    one = conversions[tower]
    found = program(tower, precision)(one.examples)
    agreed = agreement(truth(one), found)
    assert agreed.min_cosine >= SMALLEST_COSINE[precision]
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=2e-3)
    if precision == "fp32":
        assert agreed.max_difference < 1e-4


def test_target_offers_every_precision_that_is_tested_here():
    target = find_target("coreml")
    assert set(target.precisions) == set(SMALLEST_COSINE)
    assert "int4" in target.refuses(None, "int4")
    assert target.refuses(None, "pal4") is None


def test_smaller_precisions_give_smaller_files(written):
    for tower in TOWERS:
        sizes = [size_of(written(tower, p)[0]) for p in ("fp32", "fp16", "pal8", "pal6", "pal4")]
        assert sizes == sorted(sizes, reverse=True)
        assert size_of(written(tower, "int8")[0]) < sizes[1]


@pytest.mark.parametrize("precision", LARGEST_ERROR)
@pytest.mark.parametrize("tower", TOWERS)
def test_compressed_weights_are_close_to_their_originals(program, tower, precision):
    originals = program(tower, "fp16").constants()
    weights = program(tower, precision).decompressed()
    assert len(weights) >= 12
    for name, weight in weights.items():
        error = np.sqrt(np.square(weight - originals[name]).mean())
        assert error < LARGEST_ERROR[precision] * np.sqrt(np.square(originals[name]).mean())


@pytest.mark.parametrize(
    "options",
    [
        {"channel_order": "BGR", "layout": "NHWC", "pixel_type": "float32"},
        {"value_range": (-1, 1), "mean": (0, 0, 0), "std": (1, 1, 1)},
        {"mean": (0.1, 0.5, 0.9), "std": (0.1, 0.3, 0.8)},
    ],
)
def test_any_normalisation_is_inside_the_file(tmp_path, options):
    model = tiny_model(image=ONE_LAYER, **options)
    program = _written(tmp_path / "tower.mlpackage", model, "image", "fp32")
    one = conversion(model, "image")
    assert agreement(truth(one), program(one.examples)).max_difference < 1e-4


def test_a_scale_for_all_channels_needs_no_factor_in_the_graph():
    spec = tiny_model(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)).config.preprocessing
    assert scaling(spec) == Scaling(2 / 255, (-1, -1, -1), (1, 1, 1))


def test_timm_tower_and_bag_of_tokens_in_float16(tmp_path):
    image = {"kind": "timm", "backbones": [{"name": "resnet10t"}]}
    text = {**TEXT, "causal": False, "bag_of_tokens": True}
    model = tiny_model(image=image, text=text)
    nn.init.normal_(model.text.projection.weight)  # bag_of_tokens starts it at zero
    for tower in TOWERS:
        program = _written(tmp_path / f"{tower}.mlpackage", model, tower, "fp16")
        one = conversion(model, tower)
        assert agreement(truth(one), program(one.examples)).min_cosine > 0.999


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_length_of_an_embedding_is_within_reach_of_float16(tmp_path, factor):
    model = tiny_model(image=ONE_LAYER)
    model.image.projection.weight.data *= factor
    program = _written(tmp_path / "image.mlpackage", model, "image", "fp16")
    one = conversion(model, "image")
    assert agreement(truth(one), program(one.examples)).min_cosine > 0.999


def test_host_hands_over_an_image_object_or_token_ids(written):
    path, said = written("image", "fp16")
    description = coremltools.utils.load_spec(str(path)).description
    kind = description.input[0].type.imageType
    assert (description.input[0].name, kind.width, kind.height) == ("image", SIZE, SIZE)
    assert kind.colorSpace == kind.ColorSpace.Value("RGB")
    assert (said.interface.input, said.interface.type, said.interface.layout) == (
        "image", "image", None,
    )  # fmt: skip
    path, said = written("text", "fp16")
    description = coremltools.utils.load_spec(str(path)).description
    array = description.input[0].type.multiArrayType
    assert (description.input[0].name, list(array.shape)) == ("tokens", [1, CONTEXT])
    assert array.dataType == array.ArrayDataType.Value("INT32")
    assert (said.interface.input, said.interface.type) == ("tokens", "int32")
    for tower in TOWERS:
        path, said = written(tower, "int8")
        specification = coremltools.utils.load_spec(str(path))
        (output,) = specification.description.output
        assert (said.interface.output, output.name) == ("embedding", "embedding")
        assert list(output.type.multiArrayType.shape) == [1, DIM]
        assert (said.interface.batch, said.interface.requires) == (1, "iOS 17 or macOS 14")
        assert specification.specificationVersion == coremltools.target.iOS17.value


def test_file_says_what_it_is(written):
    path, said = written("image", "pal6")
    model = coremltools.models.MLModel(str(path), skip_model_load=True)
    assert (model.author, model.license) == ("leanclip", "CC0-1.0")
    assert "image tower of tiny, pal6" in model.short_description
    assert f"{SIZE} x {SIZE}" in model.input_description["image"]
    assert f"{DIM} numbers" in model.output_description["embedding"]
    stored = model.user_defined_metadata
    assert stored["com.leanclip.fingerprint"] == "f00d"
    assert json.loads(stored["com.leanclip.preprocessing"])["size"] == SIZE
    text = coremltools.models.MLModel(str(written("text", "pal6")[0]), skip_model_load=True)
    assert json.loads(text.user_defined_metadata["com.leanclip.text"])["context_length"] == CONTEXT
    assert "token ids" in text.input_description["tokens"]
    assert said.notes["compute_units"] == "all"
    assert said.notes["compute_precision"] == "float16"


def test_same_model_gives_the_same_bytes(written, tmp_path):
    one = traced(tiny_model(), "text")
    for precision in ("fp16", "pal4"):
        again = tmp_path / f"{precision}.mlpackage"
        one.write(again, precision)
        assert sha256_path(again) == sha256_path(written("text", precision)[0])


def test_only_what_multiplies_or_looks_up_is_compressed(program):
    names = program("text", "pal4").decompressed()
    assert any("token_embedding" in name for name in names)
    assert all("token_embedding" in name or "weight" in name for name in names)
    assert not any("norm" in name or "position" in name for name in names)


def test_mask_is_finite(program):
    for operation in program("text", "fp16").main.operations:
        value = operation.outputs[0].val
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim:
            assert np.isfinite(value).all()


def test_ids_beyond_sixteen_bits_are_looked_up(tmp_path):
    # The converter narrows ids to int16 where it may; CLIP has 49,408 of them.
    model = tiny_model(text=TEXT)
    tokens = model.config.tokens.model_copy(update={"vocabulary_size": 49408, "end_id": 49407})
    config = model.config.model_copy(update={"tokens": tokens})
    large = type(model)(config).eval()
    one = conversion(large, "text")
    one.examples[:] = np.linspace(32000, 49407, one.examples.size).reshape(one.examples.shape)
    one.examples[:, -1] = 49407
    path = tmp_path / "text.mlpackage"
    find_target("coreml").trace(one).write(path, "fp16")
    assert agreement(truth(one), MLProgram(path)(one.examples)).min_cosine > 0.999


@pytest.fixture
def wide_model():
    """Its first image layer leaves the range of float16; the next norm brings it back."""
    model = tiny_model(image=ONE_LAYER)
    model.image.patch_embedding.weight.data *= 1e6
    return model


def test_numbers_beyond_float16_are_refused_or_computed_in_float32(tmp_path, wide_model):
    one = traced(wide_model, "image")
    with pytest.raises(ExportError, match=r"image tower reaches .* in tower\.patch_embedding"):
        one.write(tmp_path / "half.mlpackage", "fp16")
    assert not list(tmp_path.iterdir())
    said = one.write(tmp_path / "whole.mlpackage", "int8")
    assert said.notes["compute_precision"] == "float32"
    found = MLProgram(tmp_path / "whole.mlpackage")(one.conversion.examples)
    assert agreement(truth(one.conversion), found).min_cosine > 0.999


def test_damaged_weight_is_named(tmp_path):
    model = tiny_model()
    model.text.blocks[0].up.weight.data[0, 0] = torch.nan
    with pytest.raises(ExportError, match=r"blocks\.0\.up\.weight.*not finite"):
        traced(model, "text")


def test_infinite_mask_is_refused(monkeypatch):
    monkeypatch.setattr(transformer, "MASKED", -torch.inf)
    with pytest.raises(ExportError, match=r"attention.*not finite"):
        traced(tiny_model(), "text")


def test_operation_without_a_converter_is_one_line():
    model = tiny_model(image=ONE_LAYER)
    model.image.final_norm = Unknown()
    one = traced(model, "image")
    with pytest.raises(ExportError, match="image tower cannot become a Core ML file") as raised:
        one.write(None, "fp32")
    assert len(str(raised.value).splitlines()) == 1


class Unknown(nn.Module):
    def forward(self, x):
        return torch.special.i0e(x)


def test_missing_converter_names_the_extra(monkeypatch, conversions):
    monkeypatch.setitem(__import__("sys").modules, "coremltools", None)
    with pytest.raises(MissingExtraError, match=r"leanclip\[coreml\]"):
        find_target("coreml").trace(conversions["image"])


def test_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    one = traced(tiny_model(text=TEXT), "text")
    one.write(tmp_path / "earlier.mlpackage", "int8")
    before = sha256_path(tmp_path)

    def full(source, target, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(OSError, match="No space left"):
        one.write(tmp_path / "earlier.mlpackage", "fp16")
    assert sha256_path(tmp_path) == before


def test_converter_is_quiet(tmp_path, capfd):
    traced(tiny_model(text=TEXT), "text").write(tmp_path / "text.mlpackage", "pal4")
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_only_a_mac_runs_the_file(written, monkeypatch):
    path, said = written("image", "fp16")
    monkeypatch.setattr(target_module.sys, "platform", "linux")
    assert find_target("coreml").open(path, said.interface) is None

"""The evaluator itself: that it agrees with PyTorch, and that it notices what is wrong."""

import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import export.targets.coreml.graph as graph_module
from export.verify.parity import agreement
from tests.export.coreml import ml_operations
from tests.export.coreml.conversions import traced, truth
from tests.export.coreml.ml_operations import OPERATIONS
from tests.export.coreml.ml_program import MLProgram, UnknownOperationError
from tests.tiny import tiny_model


def _random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def _equals(found, expected):
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-5)


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize(
    ("stride", "dilation", "pad"), [(1, 1, 0), (2, 1, 1), (1, 2, 2), (3, 2, 1)]
)
def test_convolution(groups, stride, dilation, pad):
    x, weight, bias = _random(2, 6, 11, 9), _random(12, 6 // groups, 3, 3), _random(12)
    found = OPERATIONS["conv"](
        x=x,
        weight=weight,
        bias=bias,
        strides=[stride] * 2,
        pad_type="custom",
        pad=[pad] * 4,
        dilations=[dilation] * 2,
        groups=groups,
    )
    given = (torch.from_numpy(one) for one in (x, weight, bias))
    _equals(found, F.conv2d(*given, stride, pad, dilation, groups))


def test_same_padding_puts_the_odd_pixel_behind_and_same_lower_before():
    x, weight = _random(1, 1, 8, 8), _random(1, 1, 3, 3)
    given = {"x": x, "weight": weight, "strides": [2, 2]}
    behind = F.conv2d(F.pad(torch.from_numpy(x), (0, 1, 0, 1)), torch.from_numpy(weight), stride=2)
    before = F.conv2d(F.pad(torch.from_numpy(x), (1, 0, 1, 0)), torch.from_numpy(weight), stride=2)
    _equals(OPERATIONS["conv"](**given, pad_type="same"), behind)
    _equals(OPERATIONS["conv"](**given, pad_type="same_lower"), before)


@pytest.mark.parametrize("counted", [True, False])
def test_pools(counted):
    x = _random(1, 3, 9, 9)
    given = {
        "x": x,
        "kernel_sizes": [3, 3],
        "strides": [2, 2],
        "pad_type": "custom",
        "pad": [1] * 4,
    }
    tensor = torch.from_numpy(x)
    _equals(OPERATIONS["max_pool"](**given), F.max_pool2d(tensor, 3, 2, 1))
    _equals(
        OPERATIONS["avg_pool"](**given, exclude_padding_from_average=not counted),
        F.avg_pool2d(tensor, 3, 2, 1, count_include_pad=counted),
    )


def test_norms_and_activations():
    x, scale, shift = _random(2, 6, 5, 5), _random(6), _random(6)
    tensor, gamma, beta = (torch.from_numpy(one) for one in (x, scale, shift))
    rows = tensor.transpose(1, 3)
    norm = {"gamma": scale, "beta": shift, "epsilon": 1e-5}
    _equals(
        OPERATIONS["layer_norm"](x=rows.numpy(), axes=[-1], **norm),
        F.layer_norm(rows, (6,), gamma, beta),
    )
    _equals(
        OPERATIONS["batch_norm"](x=x, mean=shift, variance=np.square(scale), **norm),
        F.batch_norm(tensor, beta, gamma.square(), gamma, beta),
    )
    _equals(OPERATIONS["softmax"](x=x, axis=1), tensor.softmax(1))
    _equals(OPERATIONS["gelu"](x=x), F.gelu(tensor))
    _equals(OPERATIONS["gelu"](x=x, mode="TANH_APPROXIMATION"), F.gelu(tensor, approximate="tanh"))
    _equals(OPERATIONS["silu"](x=x), F.silu(tensor))
    _equals(OPERATIONS["sigmoid_hard"](x=x, alpha=1 / 6, beta=0.5), F.hardsigmoid(tensor))


def test_slices_and_splits():
    x = _random(4, 6)
    given = {"x": x, "begin": [1, 2], "end": [3, 5]}
    slice_by_index = OPERATIONS["slice_by_index"]
    np.testing.assert_array_equal(slice_by_index(**given), x[1:3, 2:5])
    np.testing.assert_array_equal(slice_by_index(**given, begin_mask=[1, 0]), x[:3, 2:5])
    np.testing.assert_array_equal(slice_by_index(**given, end_mask=[0, 1]), x[1:3, 2:])
    np.testing.assert_array_equal(slice_by_index(**given, squeeze_mask=[1, 0]), x[1, 2:5])
    np.testing.assert_array_equal(slice_by_index(**given, stride=[1, 2]), x[1:3, 2:5:2])
    parts = OPERATIONS["split"](x=x, axis=1, split_sizes=[1, 2, 3])
    assert [part.shape[1] for part in parts] == [1, 2, 3]


def test_decompression_is_that_of_coremltools(program):
    from coremltools.converters.mil.mil.ops.defs.iOS16.constexpr_ops import (
        constexpr_affine_dequantize,
        constexpr_lut_to_dense,
    )

    theirs = {
        "constexpr_affine_dequantize": constexpr_affine_dequantize.decompress,
        "constexpr_lut_to_dense": constexpr_lut_to_dense.decompress,
    }
    for precision in ("int8", "pal8", "pal6", "pal4"):
        found = program("text", precision)
        weights = found.decompressed()
        checked = [one for one in found.main.operations if one.op_type in theirs]
        for operation in checked:
            given = {name: variable.val for name, variable in operation.inputs.items()}
            expected = theirs[operation.op_type](**given)
            # They multiply in float16 what we round to it in the end.
            np.testing.assert_allclose(
                weights[operation.outputs[0].name.rpartition("_")[0]], expected, rtol=2e-3
            )
        assert len(checked) >= 12


def test_unknown_operation_is_named(program, conversions, monkeypatch):
    monkeypatch.delitem(ml_operations.OPERATIONS, "gelu")
    with pytest.raises(UnknownOperationError, match="gelu"):
        program("text", "fp16")(conversions["text"].examples[:1])


def test_values_are_rounded_to_the_type_that_the_program_states(program, conversions):
    values = program("image", "fp16").values(conversions["image"].examples[0])
    kinds = {value.dtype for value in values.values()}
    assert kinds == {np.dtype(np.float16), np.dtype(np.float32)}


def _cosine_after(change, written, conversions, tmp_path, name):
    """Worst cosine of the text tower after a change of one weight in its file."""
    path = tmp_path / "text.mlpackage"
    shutil.copytree(written("text", "fp16")[0], path)
    (stored,) = path.rglob("weight.bin")
    operations = MLProgram(path).main.operations
    (weight,) = [
        one.outputs[0].val for one in operations if name in one.name and one.outputs[0].rank
    ]
    before, data = weight.tobytes(), stored.read_bytes()
    assert data.count(before) == 1
    stored.write_bytes(data.replace(before, change(weight).astype(np.float16).tobytes()))
    one = conversions["text"]
    return agreement(truth(one), MLProgram(path)(one.examples)).min_cosine


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("blocks_0_attention_value_weight", lambda weight: -weight),
        ("blocks_0_up_weight", lambda weight: weight * 1.5),
        ("token_embedding", lambda weight: np.roll(weight, 1, axis=0)),
        ("position_embedding", lambda weight: weight[::-1] * 5),
        ("projection_weight", lambda weight: np.roll(weight, 1, axis=1)),
    ],
)
def test_a_wrong_weight_in_the_file_is_seen(name, change, written, conversions, tmp_path):
    assert not _cosine_after(change, written, conversions, tmp_path, name) > 0.999


def test_a_mask_of_minus_infinity_in_the_file_is_seen(written, conversions, tmp_path):
    def damage(mask):
        with np.errstate(invalid="ignore"):
            return np.where(mask < 0, -np.inf, np.nan)

    with np.errstate(invalid="ignore"):
        worst = _cosine_after(damage, written, conversions, tmp_path, "mul_1_to_fp16")
    assert worst == -1


def test_a_wrong_bias_of_the_image_input_is_seen(tmp_path, monkeypatch):
    right = graph_module.scaling
    monkeypatch.setattr(
        "export.targets.coreml.target.scaling",
        lambda spec: right(spec)._replace(bias=(0.0, 0.0, 0.0)),
    )
    one = traced(tiny_model(), "image")
    one.write(tmp_path / "image.mlpackage", "fp32")
    found = MLProgram(tmp_path / "image.mlpackage")(one.conversion.examples)
    assert agreement(truth(one.conversion), found).min_cosine < 0.99

import math

import numpy as np
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper

from retrieval.compress.quantise.grids import (
    TERNARY_CLIP,
    dynamic_uint8,
    on_grid,
    split,
    straight_through,
)
from retrieval.spec.quantisation import LARGEST_CODE, Grid

GRIDS = [
    Grid(kind="int8"),
    Grid(kind="int4"),
    Grid(kind="int4", group=8),
    Grid(kind="ternary"),
    Grid(kind="ternary", rows="matrix"),
]


def weights(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(shape, generator=generator)
    # Rows of very different size, one of them zero.
    return values * torch.logspace(-4, 0, shape[0]).view(-1, *[1] * (len(shape) - 1))


def test_int8_by_hand() -> None:
    weight = torch.tensor([[127.0, -63.5, 0.4, 1.5], [0.0, 0.0, 0.0, 0.0], [0.5, -1.0, 0.25, 0.0]])
    codes, scales = split(weight, Grid(kind="int8"))
    assert codes.tolist() == [[127, -64, 0, 2], [0, 0, 0, 0], [64, -127, 32, 0]]
    assert scales[:2].flatten().tolist() == [1, 1]
    assert scales[2].item() == pytest.approx(1 / 127, rel=2**-12)


def test_int4_by_hand_with_and_without_groups() -> None:
    weight = torch.tensor([[7.0, 3.4, -2.6, 1, 0, 0, 0, 0, 0.7, -0.1, 0.2, 0, 0, 0, 0, 0.36]])
    codes, scales = split(weight, Grid(kind="int4"))
    assert codes.tolist() == [[7, 3, -3, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]]
    codes, scales = split(weight, Grid(kind="int4", group=8))
    assert codes.tolist() == [[7, 3, -3, 1, 0, 0, 0, 0], [7, -1, 2, 0, 0, 0, 0, 4]]
    assert scales.flatten().tolist() == pytest.approx([1, 0.1], rel=2**-11)


def test_ternary_by_hand() -> None:
    # Mean magnitude 1, threshold 0.7: 2, 1, -1 and 1 exceed it.
    weight = torch.tensor([[2.0, -0.6, 1.0], [0.4, -1.0, 1.0]])
    whole = on_grid(weight, Grid(kind="ternary", rows="matrix"))
    assert whole.tolist() == [[1.25, 0, 1.25], [0, -1.25, 1.25]]
    by_row = on_grid(weight, Grid(kind="ternary"))
    # Thresholds 0.84 and 0.56.
    assert by_row.tolist() == [[1.5, 0, 1.5], [0, -1, 1]]


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_values_of_a_grid_stay_where_they_are(grid: Grid) -> None:
    once = on_grid(weights(40, 24), grid)
    assert torch.equal(on_grid(once, grid), once)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_scales_can_be_read_back_from_the_largest_value(grid: Grid) -> None:
    weight = weights(40, 24)
    codes, scales = split(weight, grid)
    values = (codes * scales).numpy()
    largest = np.abs(values).max(axis=1, keepdims=True)
    alive = largest[:, 0] > 0
    read = largest / np.float32(LARGEST_CODE[grid.kind])
    assert (read[alive] == scales.numpy()[alive]).all()
    assert codes.abs().amax() == LARGEST_CODE[grid.kind]


def test_convolutions_have_a_scale_for_each_output_channel() -> None:
    weight = weights(6, 3, 2, 2)
    codes, scales = split(weight, Grid(kind="int8"))
    assert codes.shape == (6, 12)
    expected = weight.flatten(1).abs().amax(dim=1, keepdim=True) / 127
    torch.testing.assert_close(scales, expected, rtol=2**-11, atol=0)
    error = (on_grid(weight, Grid(kind="int8")) - weight).flatten(1).abs()
    assert (error <= scales * 0.54).all()


@pytest.mark.parametrize("grid", [g for g in GRIDS if g.kind != "ternary"], ids=str)
def test_gradient_passes_the_rounding(grid: Grid) -> None:
    weight = (weights(4, 16) * 100).requires_grad_()
    slope = weights(4, 16)
    (straight_through(weight, grid) * slope).sum().backward()
    assert torch.equal(weight.grad, slope)


def test_ternary_gradient_stops_at_the_clip() -> None:
    weight = torch.tensor([[0.1, -1.0, TERNARY_CLIP + 0.1, -TERNARY_CLIP - 4]], requires_grad=True)
    rounded = straight_through(weight, Grid(kind="ternary"))
    rounded.sum().backward()
    assert weight.grad.tolist() == [[1, 1, 0, 0]]
    # Both are cut to 2.5, the mean magnitude is 1.525, so -1 falls under the threshold.
    assert rounded.tolist() == [[0, 0, TERNARY_CLIP, -TERNARY_CLIP]]


def test_activations_are_rounded_as_onnx_runtime_does() -> None:
    node = helper.make_node("DynamicQuantizeLinear", ["x"], ["codes", "step", "zero"])
    given = [
        helper.make_tensor_value_info("codes", TensorProto.UINT8, None),
        helper.make_tensor_value_info("step", TensorProto.FLOAT, None),
        helper.make_tensor_value_info("zero", TensorProto.UINT8, None),
    ]
    taken = helper.make_tensor_value_info("x", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "graph", [taken], given)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    session = ort.InferenceSession(model.SerializeToString())
    x = torch.stack(
        [weights(5, 8), weights(5, 8).abs() + 1, -weights(5, 8).abs() - 3, torch.zeros(5, 8)]
    ).requires_grad_()
    rounded = dynamic_uint8(x)
    for row, found in zip(x.detach().numpy(), rounded.detach().numpy(), strict=True):
        codes, step, zero = session.run(None, {"x": row})
        expected = (codes.astype(np.float32) - zero) * step
        np.testing.assert_allclose(found, expected, atol=1e-6)
    rounded.sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))
    assert math.isfinite(rounded.sum().item())

"""Precisions, on graphs made by hand: a convolutional one and a transformer-like one."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.quantize.onnx import quantise
from export.targets.onnx import OPSET, serialise
from export.verify.parity import agreement, run_batch, run_rows
from retrieval.encode.onnx import ACTIVATIONS, DYNAMIC
from tests.export.optimised_graph import optimised

RANDOM = np.random.default_rng(0)


def model_of(nodes, weights, taken, dim):
    given = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", dim])
    tensors = [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()]
    graph = helper.make_graph(nodes, "graph", [taken], [given], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)


@pytest.fixture(scope="module")
def convolutional():
    nodes = [
        helper.make_node("Conv", ["pixels", "kernel"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("GlobalAveragePool", ["b"], ["c"]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "head"], ["embedding"], transB=1),
    ]
    weights = {"kernel": RANDOM.normal(size=(64, 3, 3, 3)), "head": RANDOM.normal(size=(16, 64))}
    taken = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, 8, 8])
    return model_of(nodes, weights, taken, 16), RANDOM.normal(size=(4, 3, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def transformer():
    nodes = [
        helper.make_node("Gather", ["table", "tokens"], ["a"]),
        helper.make_node("MatMul", ["a", "query"], ["q"]),
        helper.make_node("MatMul", ["a", "key"], ["k"]),
        helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "kt"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["mix"]),
        helper.make_node("MatMul", ["mix", "a"], ["b"]),
        helper.make_node("ReduceMean", ["b", "axes"], ["embedding"], keepdims=0),
    ]
    # Rows of very different size: one scale for the whole table would lose the small ones.
    table = RANDOM.normal(size=(50, 32)) * np.logspace(-3, 1, 50)[:, None]
    weights = {"table": table, "query": RANDOM.normal(size=(32, 32)) / 9}
    weights["key"] = RANDOM.normal(size=(32, 32)) / 9
    taken = helper.make_tensor_value_info("tokens", TensorProto.INT32, ["batch", 6])
    model = model_of(nodes, weights, taken, 32)
    model.graph.initializer.append(numpy_helper.from_array(np.array([1]), "axes"))
    return model, RANDOM.integers(0, 50, (4, 6)).astype(np.int32)


def stored(model):
    return {t.name: onnx.TensorProto.DataType.Name(t.data_type) for t in model.graph.initializer}


@pytest.mark.parametrize(
    ("precision", "lowest"), [("fp32", 1), ("fp16", 0.999999), ("int8", 0.999)]
)
@pytest.mark.parametrize("kind", ["convolutional", "transformer"])
def test_close_to_fp32(kind, precision, lowest, request):
    model, inputs = request.getfixturevalue(kind)
    before = model.SerializeToString()
    expected = run_batch(serialise(model), inputs)
    found = run_rows(serialise(quantise(model, precision)), inputs)
    assert agreement(expected, found).min_cosine >= lowest - 1e-6
    assert model.SerializeToString() == before, "the fp32 graph must stay as it was"


def test_half_the_bytes_and_a_quarter(transformer):
    sizes = [quantise(transformer[0], p).ByteSize() for p in ("fp32", "fp16", "int8")]
    weights = 4 * (50 * 32 + 2 * 32 * 32)
    assert sizes[0] - sizes[1] > weights / 2 - 600
    assert sizes[0] - sizes[2] > weights * 3 / 4 - 1500


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_runtime_folds_stored_weights_of_convolutions(convolutional, precision, tmp_path):
    loaded = optimised(quantise(convolutional[0], precision), tmp_path / "optimised.onnx")
    assert not {n.op_type for n in loaded.graph.node} & {"Cast", "Mul"}
    assert set(stored(loaded).values()) == {"FLOAT"}


def test_runtime_fuses_integer_products(transformer, tmp_path):
    loaded = optimised(quantise(transformer[0], "int8"), tmp_path / "optimised.onnx")
    kinds = [n.op_type for n in loaded.graph.node]
    assert kinds.count("MatMulIntegerToFloat") + kinds.count("DynamicQuantizeMatMul") == 2
    assert kinds.count("DynamicQuantizeLinear") <= 1, "queries and keys share one activation"


def test_tables_are_int8_by_row(transformer):
    tensors = {
        t.name: numpy_helper.to_array(t) for t in quantise(transformer[0], "int8").graph.initializer
    }
    assert tensors["table.int8"].dtype == np.int8
    assert tensors["table.scale"].shape == (50, 1)
    original = numpy_helper.to_array(transformer[0].graph.initializer[0])
    restored = tensors["table.int8"] * tensors["table.scale"]
    relative = np.linalg.norm(restored - original, axis=1) / np.linalg.norm(original, axis=1)
    assert relative.max() < 0.02


def test_only_dynamic_towers_say_so(convolutional, transformer):
    def activations(model):
        return {e.key: e.value for e in model.metadata_props}[ACTIVATIONS]

    assert activations(quantise(transformer[0], "int8")) == DYNAMIC
    assert activations(quantise(transformer[0], "fp16")) == "float32"
    assert activations(quantise(convolutional[0], "int8")) == "float32"


def test_convolutions_may_stay_half(convolutional):
    model = quantise(convolutional[0], "int8", convolutions="fp16")
    assert stored(model)["kernel.half"] == "FLOAT16"
    assert stored(model)["head.int8"] == "INT8"


def test_a_weight_beyond_half_stays_float(convolutional):
    model = onnx.ModelProto()
    model.CopyFrom(convolutional[0])
    huge = numpy_helper.to_array(model.graph.initializer[1]) * 1e6
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(huge.astype(np.float32), "head"))
    assert stored(quantise(model, "fp16"))["head"] == "FLOAT"
    expected = run_batch(serialise(model), convolutional[1])
    assert np.isfinite(run_batch(serialise(quantise(model, "fp16")), convolutional[1])).all()
    assert np.isfinite(expected).all()

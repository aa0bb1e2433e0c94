"""What quantised training chose is what the exported files hold and compute."""

import copy
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from export.bundle import pack_bundle
from export.quantize.grids import read_grid
from export.quantize.onnx import quantise
from export.quantize.trained import find_trained
from export.targets.graphs import image_graph, text_graph
from export.targets.onnx import OPSET, serialise, trace
from export.verify.parity import agreement, reference, run_batch, run_rows
from retrieval.compress.quantise.grids import dynamic_uint8, split
from retrieval.compress.quantise.quantiser import Quantiser
from retrieval.compress.quantise.settings import Quantise
from retrieval.encode.onnx import ACTIVATIONS, DYNAMIC
from retrieval.models.checkpoint import load_checkpoint, save_checkpoint
from retrieval.spec.errors import ExportError
from retrieval.spec.quantisation import Grid
from tests.export.optimised_graph import optimised
from tests.tiny import SIZE, TEXT, tiny_model, tiny_tokenizer

MOBILENET = {"kind": "timm", "backbones": [{"name": "mobilenetv4_conv_small_050"}]}
SENTENCES = ["a dog", "", "two cats on a mat " * 9, "snow on a roof"]
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 3, SIZE, SIZE), dtype=np.uint8)
IDS = tiny_tokenizer().batch(SENTENCES)
KINDS = ["int8", "int4", "ternary"]


def settings(kind, **more):
    weights = {"linear": kind, "convolution": kind, "embedding": kind}
    return Quantise.model_validate({"weights": weights, **more})


def trained(model, chosen):
    torch.manual_seed(5)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.weight)
            torch.nn.init.normal_(module.bias, std=0.1)
            module.weight.data[0] = 0
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    quantiser, task = Quantiser(chosen), SimpleNamespace(model=model)
    quantiser.start(task, 1)
    quantiser.finish(task)
    return model.eval()


def tower_of(model, tower):
    graph = image_graph(model) if tower == "image" else text_graph(model)
    inputs = PIXELS if tower == "image" else IDS
    traced = trace(graph, inputs)
    return graph, inputs, traced, find_trained(traced, model, tower)


def tensors(model):
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def unpacked(stored, name, shape):
    """Codes in a file, read without the code that wrote them."""
    if f"{name}.codes" in stored:
        return stored[f"{name}.codes"].reshape(shape).astype(int)
    bits = int(stored[f"{name}.mask"]).bit_length()
    codes = [stored[f"{name}.packed"] >> (bits * i) & (2**bits - 1) for i in range(8 // bits)]
    together = np.stack(codes, axis=-1).astype(int) - 2 ** (bits - 1)
    return together.reshape(shape)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tower", ["image", "text"])
def test_transformers_hold_the_codes_of_training_and_compute_the_same(kind, tower, tmp_path):
    model = trained(tiny_model(text={**TEXT, "bag_of_tokens": False}), settings(kind))
    graph, inputs, traced, found = tower_of(model, tower)
    made = quantise(traced, "trained", trained=found)
    stored = tensors(made)
    grids = model.config.quantisation.only([tower]).grids
    assert {weight.name for weight in found.values()} == set(grids)
    for place, weight in found.items():
        values = model.get_parameter(weight.name).detach()
        codes, scales = split(values, Grid(kind=kind))
        if weight.grid.rows == "channel":
            assert (weight.scales == scales.numpy()).all()
        assert (unpacked(stored, place, codes.shape) == codes.numpy()).all()
        assert place not in stored
    expected = reference(graph, inputs)
    for run in (run_rows, run_batch):
        assert agreement(expected, run(serialise(made), inputs)).min_cosine > 0.99999
    assert {e.key: e.value for e in made.metadata_props}[ACTIVATIONS] == "float32"
    # Weights are made when the file is read; only rows of the table are taken apart later.
    loaded = optimised(made, tmp_path / "optimised.onnx")
    shifts = [n for n in loaded.graph.node if n.op_type == "BitShift"]
    assert len(shifts) == (1 if tower == "text" and kind != "int8" else 0)


@pytest.mark.parametrize("kind", KINDS)
def test_batch_norm_leaves_codes_of_convolutions_as_they_were(kind):
    model = trained(tiny_model(image=MOBILENET), settings(kind))
    graph, inputs, traced, found = tower_of(model, "image")
    assert not [node for node in traced.graph.node if node.op_type == "BatchNormalization"]
    made = quantise(traced, "trained", trained=found)
    stored = tensors(made)
    name = "tower.backbones.0.conv_stem.weight"
    stem = model.image.backbones[0]
    grid = model.config.quantisation.grids["image.backbones.0.conv_stem.weight"]
    codes, _ = split(stem.conv_stem.weight.detach(), grid)
    expected = codes.view(len(stem.conv_stem.weight), -1) * stem.bn1.weight.sign()[:, None]
    assert (stem.bn1.weight < 0).any() and stem.bn1.weight[0] == 0
    assert (unpacked(stored, name, expected.shape) == expected.detach().numpy()).all()
    truth = reference(graph, inputs)
    assert agreement(truth, run_rows(serialise(made), inputs)).min_cosine > 0.99999
    opsets = [o.version for o in made.opset_import if o.domain == ""]
    assert opsets == [OPSET]


def test_groups_of_int4_keep_scales_of_their_own():
    model = trained(tiny_model(), settings("int4", group=32))
    graph, inputs, traced, found = tower_of(model, "text")
    down = next(w for w in found.values() if w.name == "text.blocks.1.down.weight")
    assert down.scales.shape == (32 * 64 // 32, 1)
    data = serialise(quantise(traced, "trained", trained=found))
    assert agreement(reference(graph, inputs), run_rows(data, inputs)).min_cosine > 0.99999


@pytest.mark.parametrize("kind", KINDS)
def test_products_trained_in_int8_run_in_int8_as_trained(kind, tmp_path):
    model = trained(tiny_model(), settings(kind, activations="int8"))
    _, inputs, traced, found = tower_of(model, "image")
    made = quantise(traced, "trained", trained=found)
    kinds = [n.op_type for n in optimised(made, tmp_path / "optimised.onnx").graph.node]
    integer = kinds.count("MatMulIntegerToFloat") + kinds.count("DynamicQuantizeMatMul")
    assert integer == 12
    assert "BitShift" not in kinds
    assert {e.key: e.value for e in made.metadata_props}[ACTIVATIONS] == DYNAMIC
    for module in model.image.blocks.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(lambda module, given: (dynamic_uint8(given[0]),))
    as_trained = agreement(reference(image_graph(model), inputs), run_rows(serialise(made), inputs))
    # Not quite one: a value between two steps may fall to either. Without the hooks it is
    # 0.99998 or less.
    assert as_trained.min_cosine > 0.99999


def test_int8_keeps_trained_grids_and_rounds_the_rest():
    model = trained(tiny_model(), settings("int4", skip=["text.blocks.0", "text.projection"]))
    graph, inputs, traced, found = tower_of(model, "text")
    made = quantise(traced, "int8", trained=found)
    stored = tensors(made)
    assert "tower.token_embedding.weight.packed" in stored
    assert stored["tower.projection.weight.int8"].dtype == np.int8
    assert sum(node.op_type == "MatMulInteger" for node in made.graph.node) == 6
    assert agreement(reference(graph, inputs), run_rows(serialise(made), inputs)).min_cosine > 0.999


def test_a_bundle_takes_the_trained_precision_by_itself(tmp_path):
    model = tiny_model()
    model.image.requires_grad_(False)
    model = trained(model, settings("int4"))
    codes, _ = split(model.text.token_embedding.weight.detach(), Grid(kind="int4"))
    # Stored in half precision, values are no longer quite on the grid.
    save_checkpoint(tmp_path / "checkpoint", model.half().float(), tiny_tokenizer())
    checkpoint = load_checkpoint(tmp_path / "checkpoint")
    assert checkpoint.config.quantisation == model.config.quantisation
    bundle = pack_bundle(checkpoint, tmp_path / "bundle")
    assert {f.tower: f.precision for f in bundle.files} == {"image": "fp16", "text": "int4"}
    stored = tensors(onnx.load(tmp_path / "bundle" / "onnx" / "text-int4.onnx"))
    assert (unpacked(stored, "tower.token_embedding.weight", codes.shape) == codes.numpy()).all()


def test_weights_that_left_their_grid_are_refused():
    model = trained(tiny_model(), settings("int8"))
    with torch.no_grad():
        model.text.blocks[0].up.weight.add_(torch.randn(64, 32) * 0.01)
    with pytest.raises(ExportError, match=r"text.blocks.0.up.weight does not lie on the int8 grid"):
        tower_of(model, "text")


def test_a_promised_weight_that_the_graph_lacks_is_refused():
    model = trained(tiny_model(), settings("int8"))
    other = copy.deepcopy(model)
    torch.nn.init.normal_(other.text.blocks[0].up.weight)
    traced = trace(text_graph(other), IDS)
    with pytest.raises(
        ExportError, match=r"text.blocks.0.up.weight was .* the traced text tower does"
    ):
        find_trained(traced, model, "text")


def test_rows_of_zeros_have_codes_of_zero():
    values = np.array([[0, 0], [7, -3]], np.float32) / 8
    codes, scales = read_grid("weight", values, Grid(kind="int4"))
    assert codes.tolist() == [[0, 0], [7, -3]]
    assert scales.tolist() == [[1], [0.125]]

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from export.targets.graphs import image_graph, text_graph
from export.targets.onnx import OPSET, serialise, trace
from export.verify.parity import Agreement, agreement, check_exact, run_batch
from retrieval.encode.onnx import as_input
from retrieval.models.normalise import PixelNormaliser
from retrieval.spec.errors import ExportError
from tests.tiny import DIM, tiny_model, tiny_tokenizer

MOBILENET = {"kind": "timm", "backbones": [{"name": "mobilenetv4_conv_small_050"}]}
SENTENCES = ["a dog", "", "two cats on a mat " * 9, "<end_of_text> twice", "snow"]

IMAGE_CASES = {
    "vit of ours": {},
    "timm, NHWC, BGR, float32": {
        "image": MOBILENET,
        "layout": "NHWC",
        "channel_order": "BGR",
        "pixel_type": "float32",
        "value_range": (-1, 1),
    },
}


@pytest.mark.parametrize("case", IMAGE_CASES)
def test_image_tower_equals_pytorch_in_every_batch(case):
    model = tiny_model(**IMAGE_CASES[case])
    spec = model.config.preprocessing
    random = np.random.default_rng(0)
    plain = random.integers(0, 256, (5, 3, spec.size, spec.size), dtype=np.uint8)
    data = serialise(trace(image_graph(model), as_input(plain[:2], spec)))
    with torch.inference_mode():
        expected = model.encode_image(PixelNormaliser(spec)(torch.from_numpy(plain))).numpy()
    for batch in (1, 3, 5):
        found = run_batch(data, as_input(plain[:batch], spec))
        np.testing.assert_allclose(found, expected[:batch], atol=1e-5)


@pytest.mark.parametrize("causal", [True, False])
def test_text_tower_equals_pytorch_in_every_batch(causal):
    blocks = {"width": 32, "head_dim": 16, "layers": 1, "heads": [3], "neurons": 64}
    model = tiny_model(text={"blocks": blocks, "causal": causal, "bag_of_tokens": True})
    torch.nn.init.normal_(model.text.projection.weight)  # bag_of_tokens starts it at zero
    ids = tiny_tokenizer().batch(SENTENCES)
    traced = trace(text_graph(model), ids[:2])
    with torch.inference_mode():
        expected = model.encode_text(torch.from_numpy(ids)).numpy()
    for batch in (1, 3, 5):
        found = run_batch(serialise(traced), ids[:batch])
        np.testing.assert_allclose(found, expected[:batch], atol=1e-5)


def test_graph_is_what_hosts_expect(exported):
    for tower, name, kind in (("image", "pixels", "uint8"), ("text", "tokens", "int32")):
        session = ort.InferenceSession(exported / "onnx" / f"{tower}-fp16.onnx")
        (taken,), (given,) = session.get_inputs(), session.get_outputs()
        assert (taken.name, taken.type) == (name, f"tensor({kind})")
        assert (given.name, given.type) == ("embedding", "tensor(float)")
        assert given.shape[1] == DIM
        assert isinstance(taken.shape[0], str), "batch must be dynamic"
        metadata = session.get_modelmeta().custom_metadata_map
        assert metadata["name"] == "tiny"
        assert metadata["licence"] == "CC0-1.0"
        assert metadata["tower"] == tower


def test_graph_is_clean(exported):
    for path in (exported / "onnx").iterdir():
        model = onnx.load(path)
        assert [o.version for o in model.opset_import if o.domain == ""] == [OPSET]
        assert not {n.op_type for n in model.graph.node} & {"ArgMax", "Where", "If", "Loop"}
        assert b".py" not in path.read_bytes(), "the tracer's notes name files of this machine"
        for tensor in model.graph.initializer:
            values = onnx.numpy_helper.to_array(tensor)
            assert np.isfinite(values).all(), f"{tensor.name}: mask of -inf"


def test_one_weight_off_is_refused():
    expected = np.eye(3, dtype=np.float32)
    check_exact("fine", agreement(expected, expected + 1e-6))
    off = agreement(expected, expected + np.float32(1e-3))
    with pytest.raises(ExportError, match=r"the image tower.*0\.001"):
        check_exact("the image tower", Agreement(0, 1), off)
    not_a_number = agreement(expected, np.full((3, 3), np.nan, np.float32))
    with pytest.raises(ExportError):
        check_exact("the image tower", not_a_number)


class Unconvertible(torch.nn.Module):
    def forward(self, pixels):
        return pixels if pixels.sum() > 0 else -pixels


def test_tower_without_converter_is_one_line():
    model = tiny_model()
    model.image = Unconvertible()
    with pytest.raises(
        ExportError, match="the tower that takes pixels cannot become ONNX"
    ) as error:
        trace(image_graph(model), np.zeros((2, 3, 8, 8), np.uint8))
    assert "\n" not in str(error.value)

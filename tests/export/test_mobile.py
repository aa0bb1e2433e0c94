"""Mobile bundles of models that were not trained for it."""

import numpy as np
import pytest

from export.mobile import MOBILE_FORMATS, is_convolutional, mobile_precisions, pack_mobile
from export.quantize.calibration import Calibration
from export.report import read_report
from retrieval.encode.load import open_encoder
from retrieval.models.checkpoint import load_checkpoint, save_checkpoint
from retrieval.spec.bundle import check_file, read_bundle
from retrieval.spec.errors import ExportError
from tests.tiny import DIM, SIZE, tiny_checkpoint, tiny_model, tiny_tokenizer

CONVOLUTIONAL = {"kind": "timm", "backbones": [{"name": "test_resnet"}]}
BLOCKS = {"width": DIM, "head_dim": 8, "layers": 2, "heads": 3, "neurons": 48, "norm_eps": 1e-6}
SIGLIP = {
    "image": {
        "kind": "attention_pooled",
        "blocks": {**BLOCKS, "activation": "gelu_tanh"},
        "pool_heads": 3,
        "pool_neurons": 48,
    },
    "text": {
        "blocks": {**BLOCKS, "activation": "gelu_tanh"},
        "causal": False,
        "pooling": "last",
        "projection_bias": True,
    },
}


@pytest.fixture(scope="module")
def transformer(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("transformer") / "checkpoint")


@pytest.fixture(scope="module")
def convolutional(tmp_path_factory):
    folder = tmp_path_factory.mktemp("convolutional") / "checkpoint"
    return tiny_checkpoint(folder, image=CONVOLUTIONAL, size=SIZE)


def names(bundle):
    return {(file.format, file.tower): file.precision for file in bundle.files}


def test_only_convolutional_towers_run_in_int8_throughout(transformer, convolutional):
    assert is_convolutional(convolutional.model.image)
    assert not is_convolutional(transformer.model.image)
    assert not is_convolutional(transformer.model.text)
    for format in MOBILE_FORMATS:
        for calibrated in (True, False):
            chosen = mobile_precisions(transformer, format, calibrated=calibrated)
            assert chosen == {"image": "int8", "text": "int8"}
        assert mobile_precisions(convolutional, format, calibrated=False)["image"] == "int8"
    with_photos = {
        format: mobile_precisions(convolutional, format, calibrated=True)
        for format in MOBILE_FORMATS
    }
    assert {one["text"] for one in with_photos.values()} == {"int8"}
    assert with_photos["onnx"]["image"] == with_photos["litert"]["image"] == "int8-static"
    assert with_photos["coreml"]["image"] == "int8"


def test_siglips_towers_reach_every_format(tmp_path):
    save_checkpoint(tmp_path / "checkpoint", tiny_model(**SIGLIP), tiny_tokenizer())
    source = load_checkpoint(tmp_path / "checkpoint")
    bundle = pack_mobile(source, tmp_path / "bundle", formats=MOBILE_FORMATS)
    assert names(bundle) == {
        (format, tower): "int8" for format in MOBILE_FORMATS for tower in ("image", "text")
    }
    assert bundle == read_bundle(tmp_path / "bundle")
    parity = read_report(tmp_path / "bundle")["parity"]
    ran = {file.file for file in bundle.files if file.format != "coreml"}
    assert all(parity[name]["min_cosine"] > 0.99 for name in ran)
    for file in bundle.files:
        check_file(tmp_path / "bundle", file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "checkpoint"]


def test_calibrated_convolutions_run_in_int8_throughout(convolutional, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 3, SIZE, SIZE), np.uint8)
    bundle = pack_mobile(
        convolutional, tmp_path / "bundle", formats=["onnx"], calibration=Calibration(pixels)
    )
    assert names(bundle) == {("onnx", "image"): "int8-static", ("onnx", "text"): "int8"}


def recommending(*chosen):
    """A judge that marks files by tower and precision."""

    def judge(folder):
        bundle = read_bundle(folder)
        assert {file.precision for file in bundle.files} == {"int8", "fp16"}
        files = tuple(
            replace_mark(file, (file.tower, file.precision) in chosen) for file in bundle.files
        )
        return bundle.model_copy(update={"files": files})

    return judge


def replace_mark(file, mark):
    return file.model_copy(update={"recommended": mark})


@pytest.mark.parametrize(
    ("chosen", "image", "text"),
    [
        ((("image", "fp16"), ("text", "int8")), "fp16", "int8"),
        ((), "fp16", "fp16"),
    ],
    ids=["one of each", "none is good enough"],
)
def test_what_the_judge_recommends_is_kept_alone(transformer, tmp_path, chosen, image, text):
    folder = tmp_path / "bundle"
    bundle = pack_mobile(transformer, folder, formats=["onnx"], judge=recommending(*chosen))
    assert names(bundle) == {("onnx", "image"): image, ("onnx", "text"): text}
    assert bundle == read_bundle(folder)
    left = {path.relative_to(folder).as_posix() for path in (folder / "onnx").iterdir()}
    assert left == {file.file for file in bundle.files}
    report = read_report(folder)
    assert [set(report[part]) for part in ("parity", "golden", "bytes")] == [left] * 3
    assert open_encoder(folder).encode_sentences(["a dog"]).shape == (1, DIM)


def test_an_earlier_bundle_stays_when_the_judge_fails(transformer, tmp_path):
    folder = tmp_path / "bundle"
    first = pack_mobile(transformer, folder, formats=["onnx"])

    def judge(staged):
        raise ExportError("no photo can be decoded")

    with pytest.raises(ExportError, match="no photo"):
        pack_mobile(transformer, folder, formats=["onnx"], judge=judge)
    assert read_bundle(folder) == first
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_folder_with_something_else_and_no_format_are_refused(transformer, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(ExportError, match="is not a bundle"):
        pack_mobile(transformer, tmp_path / "mine", formats=["onnx"])
    with pytest.raises(ExportError, match="name a format"):
        pack_mobile(transformer, tmp_path / "new", formats=[])
    with pytest.raises(ExportError, match="cannot export to 'tensorrt'"):
        pack_mobile(transformer, tmp_path / "new", formats=["tensorrt"])
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]

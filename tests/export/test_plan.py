"""Which files are written, and what is refused before any work."""

import importlib.util

import pytest

from export.bundle import pack_bundle
from export.plan import WantedFile, plan_files
from export.targets import support
from export.targets.registry import find_target
from export.targets.support import Refusal, note, refusal
from retrieval.spec.errors import ExportError, MissingExtraError
from tests.tiny import tiny_checkpoint, tiny_model

MOBILENET = {"kind": "timm", "backbones": [{"name": "mobilenetv2_050.lamb_in1k"}]}


def names(files):
    return [f"{file.format}/{file.tower}-{file.precision}" for file in files]


def test_formats_times_precisions_each_where_it_exists():
    asked = {"image": ("fp16", "pal8", "int8-static"), "text": "fp16"}
    assert names(plan_files(("onnx", "coreml"), asked, quantised=False)) == [
        "onnx/image-fp16", "onnx/image-int8-static", "onnx/text-fp16",
        "coreml/image-fp16", "coreml/image-pal8", "coreml/text-fp16",
    ]  # fmt: skip


def test_what_suits_the_model_is_the_default():
    def default(quantised):
        asked = {"image": None, "text": []}
        return names(plan_files(("onnx", "coreml", "onnx"), asked, quantised=quantised))

    assert default(False) == [
        "onnx/image-fp16", "onnx/text-fp16", "coreml/image-fp16", "coreml/text-fp16",
    ]  # fmt: skip
    assert default(True) == [
        "onnx/image-trained", "onnx/text-trained", "coreml/image-fp16", "coreml/text-fp16",
    ]  # fmt: skip


def test_towers_that_are_left_out_get_no_file():
    files = plan_files(("onnx",), {"text": ("int8", "int8")}, quantised=False)
    assert files == [WantedFile("onnx", "text", "int8")]


@pytest.mark.parametrize(
    ("formats", "precision", "message"),
    [
        (("tflite",), "fp16", r"cannot export to 'tflite'; formats: onnx, coreml"),
        (("onnx",), "fp15", r"there is no precision 'fp15' in onnx: fp32, fp16"),
        (("onnx",), "pal8", r"there is no precision 'pal8' in onnx"),
        (("coreml", "onnx"), "pal8", r"onnx has no pal8 files; its precisions: fp32"),
    ],
)
def test_what_does_not_exist_is_refused(formats, precision, message):
    with pytest.raises(ExportError, match=message):
        plan_files(formats, {"image": precision}, quantised=False)


def test_all_missing_converters_are_named_at_once_before_any_work(monkeypatch, tmp_path):
    find = importlib.util.find_spec
    absent = ("coremltools", "litert_torch")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in absent else find(name)
    )
    checkpoint = tiny_checkpoint(tmp_path / "checkpoint")
    with pytest.raises(MissingExtraError) as error:
        pack_bundle(checkpoint, tmp_path / "bundle", formats=("onnx", "coreml", "litert"))
    assert str(error.value) == (
        "exporting to coreml and litert needs extra packages: pip install 'leanclip[coreml,litert]'"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_a_refusal_has_a_reason_and_an_alternative_and_comes_before_any_work(tmp_path, monkeypatch):
    checkpoint = tiny_checkpoint(tmp_path / "checkpoint")
    monkeypatch.setattr(find_target("onnx").__class__, "trace", None)
    with pytest.raises(ExportError, match=r"cannot export the text tower in onnx as int8-static: "
                       r"text .* fixed int8 scales; choose int8"):  # fmt: skip
        pack_bundle(checkpoint, tmp_path / "bundle", text_precision="int8-static")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_the_registry_knows_towers_by_their_backbones(monkeypatch):
    config = tiny_model(image=MOBILENET).config
    assert note(config, "image") == (
        "mobilenetv2_050 is not among the towers that leanclip is tested with"
    )
    assert note(config, "text") is None
    assert refusal(config, "image", "onnx", "int8") is None
    never = Refusal("onnx", None, "is not liked here", "litert")
    monkeypatch.setitem(support.SUPPORT, "mobilenetv2_050", (never,))
    assert refusal(config, "image", "onnx", "int8") == (
        "mobilenetv2_050 is not liked here; choose litert"
    )
    assert refusal(config, "image", "coreml", "int8") is None

import json
import resource

import pytest

from export import report
from export.bundle import pack_bundle
from export.targets.onnx import OPSET, OnnxTarget
from export.targets.target import Written
from export.verify.golden_check import GoldenReport
from retrieval.encode.onnx import OnnxEncoder
from retrieval.models.checkpoint import load_checkpoint
from retrieval.spec.bundle import check_file, check_vocabulary, read_bundle
from retrieval.spec.errors import ExportError
from tests.tiny import DIM


@pytest.fixture(scope="module")
def checkpoint(exported):
    return load_checkpoint(exported.with_name("bundle.checkpoint"))


@pytest.fixture
def no_towers(monkeypatch, exported):
    """Take towers that are exported already, so that a test of packing is quick."""

    class Copied:
        def __init__(self, conversion):
            self.tower = conversion.tower

        def write(self, path, precision):
            made = f"{self.tower}-fp16.onnx"
            path.write_bytes((exported / "onnx" / made).read_bytes())
            entry = read_bundle(exported).file(self.tower, "onnx")
            return Written("fp16", entry.interface)

    monkeypatch.setattr(OnnxTarget, "trace", lambda self, conversion: Copied(conversion))


def names(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_bundle_holds_what_it_promises(exported, checkpoint):
    bundle = read_bundle(exported)
    assert names(exported) == {
        "bundle.json", "golden.json", "report.json", "merges.txt",
        "onnx/image-fp16.onnx", "onnx/text-fp16.onnx",
    }  # fmt: skip
    for file in bundle.files:
        path = check_file(exported, file)
        assert path.stat().st_size == file.bytes
    check_vocabulary(exported, bundle.text)
    assert bundle.fingerprint == checkpoint.fingerprint
    assert bundle.embedding_dim == DIM
    assert bundle.training_data == ("noise",)
    assert sum(file.bytes for file in bundle.files) < 1_000_000
    said = json.loads((exported / "report.json").read_text())
    assert said["metrics"] == {"recall@1": 0.5}
    assert set(said["golden"]) == set(said["parity"]) == {f.file for f in bundle.files}
    for name, parity in said["parity"].items():
        assert said["golden"][name] > 0.9999
        assert 0.9999 < parity["min_cosine"] <= parity["median_cosine"]
        assert parity["notes"]["opset"] == OPSET


def test_towers_may_differ_in_precision(checkpoint, tmp_path):
    card = tmp_path / "card.md"
    card.write_text("# tiny\n")
    folder = tmp_path / "made" / "bundle"
    bundle = pack_bundle(
        checkpoint, folder, image_precision="fp32", text_precision="int8", model_card=card
    )
    assert {f.tower: f.precision for f in bundle.files} == {"image": "fp32", "text": "int8"}
    assert read_bundle(folder) == bundle
    assert (folder / "README.md").read_text() == "# tiny\n"
    # Neighbours in a batch must not change an int8 embedding.
    encoder = OnnxEncoder(folder)
    together = encoder.encode_sentences(["a dog", "snow on a roof", ""])
    assert (together[:1] == encoder.encode_sentences(["a dog"])).all()


def test_an_earlier_bundle_is_replaced(checkpoint, exported, tmp_path, no_towers):
    folder = tmp_path / "bundle"
    folder.mkdir()
    pack_bundle(checkpoint, folder, licence="first")
    (folder / "stale").touch()
    pack_bundle(checkpoint, folder, licence="second")
    assert read_bundle(folder).licence == "second"
    assert names(folder) == names(exported)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_anything_else_is_not_replaced(checkpoint, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").touch()
    (tmp_path / "file").touch()
    for name in ("photos", "file"):
        with pytest.raises(ExportError, match=f"{name} exists and is not a bundle"):
            pack_bundle(checkpoint, tmp_path / name)
    assert (tmp_path / "photos" / "holiday.jpg").exists()


def test_missing_model_card_is_found_before_the_work(checkpoint, tmp_path):
    with pytest.raises(ExportError, match="no model card"):
        pack_bundle(checkpoint, tmp_path / "bundle", model_card=tmp_path / "none.md")


def test_a_bundle_that_fails_its_golden_test_is_not_written(
    checkpoint, tmp_path, monkeypatch, no_towers
):
    failed = GoldenReport(min_cosine={"image": 0.2, "text": 1.0}, failures=("photo wide: bad",))
    monkeypatch.setattr(report, "check_golden", lambda *given: failed)
    with pytest.raises(ExportError, match=r"onnx/image-fp16.onnx fails 1 .* photo wide: bad"):
        pack_bundle(checkpoint, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_full_disk_leaves_the_earlier_bundle(checkpoint, tmp_path, no_towers):
    folder = tmp_path / "bundle"
    pack_bundle(checkpoint, folder, licence="first")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            pack_bundle(checkpoint, folder, licence="second")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert read_bundle(folder).licence == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]

"""``leanclip quantize``: files are added to a bundle, or it stays as it was."""

import json
import resource
import shutil

import pytest

from export.verify import golden_inputs
from retrieval.encode.onnx import OnnxEncoder
from retrieval.spec.bundle import check_file, read_bundle
from retrieval.spec.files import sha256_path
from tests.tiny import tiny_checkpoint


@pytest.fixture
def bundle(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "bundle")


def test_files_are_added_and_the_rest_stays(leanclip, checkpoint, bundle, exported):
    before = read_bundle(exported)
    status, out, err = leanclip(
        "quantize", checkpoint, bundle, "--text-precision", "int8,mixed", "--json"
    )
    assert status == 0, err
    after = read_bundle(bundle)
    assert after.files[:2] == before.files
    assert [file.file for file in after.files[2:]] == [
        "onnx/text-int8.onnx",
        "onnx/text-mixed.onnx",
    ]
    for file in after.files:
        check_file(bundle, file)
        assert file.interface is not None
    said = json.loads(out)
    assert [file["file"] for file in said["files"]] == [file.file for file in after.files]
    assert all(0.9 < file["cosine"] <= file["median_cosine"] < 1.1 for file in said["files"])
    report = json.loads((bundle / "report.json").read_text())
    assert set(report["parity"]) == set(report["golden"]) == set(report["bytes"])
    assert report["metrics"] == {"recall@1": 0.5}
    assert OnnxEncoder(bundle).encode_sentences(["a dog"]).shape == (1, after.embedding_dim)
    # Once more: replaced, not doubled.
    status, _, err = leanclip("quantize", checkpoint, bundle, "--text-precision", "int8")
    assert status == 0, err
    assert sorted(f.file for f in read_bundle(bundle).files) == sorted(f.file for f in after.files)


def figures_of(report):
    return {file["file"]: file for file in report["verification"]["files"]}


def test_a_verification_keeps_only_what_still_holds(leanclip, checkpoint, bundle, tmp_path):
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(golden_inputs.landscape(60, 50, seed=1))
    (tmp_path / "pairs.jsonl").write_text('{"image": "photo.jpg", "captions": ["a field"]}\n')
    verify = ("verify", bundle, "--data", tmp_path / "pairs.jsonl", "--checkpoint", checkpoint)
    assert leanclip("quantize", checkpoint, bundle, "--text-precision", "int8")[0] == 0
    assert leanclip(*verify)[0] == 0
    before = json.loads((bundle / "report.json").read_text())
    assert all(file["ms"] > 0 for file in figures_of(before).values())
    assert {pair["opened"] for pair in before["verification"]["pairs"]} == {True, False}

    # A file that comes out as it was is still verified; its neighbour is new, and smaller.
    status, _, err = leanclip("quantize", checkpoint, bundle, "--precision", "int8")
    assert status == 0, err
    after = json.loads((bundle / "report.json").read_text())
    new = figures_of(after).pop("onnx/image-int8.onnx")
    assert new["ms"] is None and new["not_run"].startswith("newer than this verification")
    assert new["not_run"] in (bundle / "report.html").read_text()
    kept = {name: one for name, one in figures_of(after).items() if name in figures_of(before)}
    assert kept == figures_of(before)
    # The pair that hosts opened, fp16 and int8, is not what they open now.
    assert not any(pair["opened"] for pair in after["verification"]["pairs"])
    assert len(after["verification"]["pairs"]) == len(before["verification"]["pairs"])

    # A file of other bytes under the same name is not the one that was verified.
    manifest = json.loads((bundle / "bundle.json").read_text())
    replaced = next(file for file in manifest["files"] if file["file"] == "onnx/text-int8.onnx")
    (bundle / replaced["file"]).write_bytes(b"of an earlier exporter")
    replaced["sha256"] = sha256_path(bundle / replaced["file"])
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    assert leanclip("quantize", checkpoint, bundle, "--text-precision", "int8")[0] == 0
    last = json.loads((bundle / "report.json").read_text())
    assert figures_of(last)["onnx/text-int8.onnx"]["not_run"] == new["not_run"]
    assert figures_of(last)["onnx/text-fp16.onnx"]["ms"] > 0
    assert [pair["text"] for pair in last["verification"]["pairs"]] == ["fp16"]


def test_a_verification_that_cannot_be_read_is_one_line(leanclip, checkpoint, bundle):
    report = json.loads((bundle / "report.json").read_text())
    (bundle / "report.json").write_text(json.dumps(report | {"verification": {"files": 1}}))
    said = "its verification cannot be read; make it again with leanclip verify"
    refused(leanclip, bundle, said, checkpoint, "--text-precision", "int8")


def test_a_bundle_of_another_model_is_refused(leanclip, bundle, tmp_path):
    tiny_checkpoint(tmp_path / "other", seed=1)
    refused(leanclip, bundle, "holds another model", tmp_path / "other", "--precision", "int8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "say which files to add"),
        (("--precision", "int9"), "there is no precision 'int9'"),
        (("--image-precision", "int8-static"), "choose int8"),
        (("--text-precision", "int8", "--calibrate", "{tmp}/empty"), "no photos in this folder"),
        (("--text-precision", "int8", "--sentences", "{tmp}/none.txt"), "none.txt: no such file"),
        (("--to", "caffe", "--precision", "int8"), "cannot export to 'caffe'"),
    ],
)
def test_bad_input_is_one_line(leanclip, checkpoint, bundle, tmp_path, options, message):
    (tmp_path / "empty").mkdir()
    given = (option.format(tmp=tmp_path) for option in options)
    refused(leanclip, bundle, message, checkpoint, *given)


def test_a_full_disk_leaves_the_bundle_as_it_was(leanclip, checkpoint, bundle):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        refused(leanclip, bundle, "File too large", checkpoint, "--text-precision", "fp32")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_is_no_bundle_is_one_line(leanclip, checkpoint, tmp_path):
    status, _, err = leanclip("quantize", checkpoint, tmp_path, "--precision", "int8")
    assert status == 1
    assert "is not a bundle" in err
    assert list(tmp_path.iterdir()) == []


def refused(leanclip, bundle, message, checkpoint, *options):
    """Run the command; it must fail in one line and leave everything as it was."""
    before, beside = sha256_path(bundle), sorted(bundle.parent.iterdir())
    status, out, err = leanclip("quantize", checkpoint, bundle, *options)
    assert (status, out) == (1, "")
    assert message in err
    assert "Traceback" not in err
    assert sha256_path(bundle) == before
    assert sorted(bundle.parent.iterdir()) == beside

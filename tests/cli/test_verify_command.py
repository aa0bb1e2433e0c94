import json
import shutil

import pytest

from export.verify import golden_inputs
from tests.golden import change_golden, flip_byte

REPORT = "report.json"


@pytest.fixture
def bundle(made, tmp_path):
    """A bundle without fp32 files, to damage as needed."""
    return shutil.copytree(made, tmp_path / "bundle")


@pytest.fixture
def pairs(tmp_path):
    lines = []
    for number in range(6):
        photo = tmp_path / "photos" / f"{number}.jpg"
        photo.parent.mkdir(exist_ok=True)
        photo.write_bytes(golden_inputs.landscape(60 + number, 50, seed=number))
        lines.append({"image": f"photos/{number}.jpg", "captions": [f"picture {number}"]})
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def refused(leanclip, bundle, *arguments):
    """One line, status 1, and a bundle as it was."""
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    status, output, said = leanclip("verify", bundle, *arguments)
    assert (status, output) == (1, "")
    line = said.strip().splitlines()[-1]
    assert line.startswith("leanclip: ")
    assert "Traceback" not in said
    assert before == {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    return line


def test_a_whole_run_with_filters_of_other_platforms(leanclip, bundle, pairs):
    status, output, said = leanclip(
        "verify", bundle, "--data", pairs, "--photos", 5, "--resizing", "--json"
    )
    assert status == 0, said
    printed, report = json.loads(output), json.loads((bundle / REPORT).read_text())
    assert printed == {key: report[key] for key in ("verification", "resizing")}
    verification = printed["verification"]
    assert verification["passed"] is True
    assert verification["truth"] == "the golden vectors of the bundle"
    assert verification["photos"] == 5
    assert [file["worst_cosine"] > 0.999 for file in verification["files"]] == [True, True]
    # Nothing is known about losses without a truth for the captioned photos.
    assert verification["pairs"][0]["loss"]["points"] is None
    own, *others = printed["resizing"]
    assert (own["resizing"], own["cost"]) == ("bicubic", 0)
    assert {cost["resizing"] for cost in others} >= {"plain-bilinear", "linear-light-lanczos"}
    assert all(cost["worst_cosine"] <= 1 for cost in others)
    assert "Points lost" in (bundle / "report.html").read_text()


def test_a_file_that_falls_short_is_the_exit_status(leanclip, bundle, pairs):
    """Golden vectors of another model: every file is wrong, and the table says so."""

    def turn(golden):
        for photo in golden["photos"]:
            photo["embedding"] = [-value for value in photo["embedding"]]

    change_golden(bundle, turn)
    status, output, _ = leanclip("verify", bundle, "--data", pairs, "--photos", 2)
    assert status == 1
    assert "falls short: onnx/image-fp16.onnx: cosine -" in output
    assert "onnx text fp16" in output and "passes" in output
    assert "not located: no fp32 onnx file and no checkpoint" in output
    assert json.loads((bundle / REPORT).read_text())["verification"]["passed"] is False
    assert "falls short" in (bundle / "report.html").read_text()


@pytest.mark.parametrize(
    "name", ["onnx/image-fp16.onnx", "onnx/text-fp16.onnx", "merges.txt", "golden.json"]
)
def test_one_changed_byte_is_told(leanclip, bundle, pairs, name):
    flip_byte(bundle / name)
    line = refused(leanclip, bundle, "--data", pairs)
    assert f"{name} is damaged: its SHA-256 is not the one in bundle.json" in line


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ("{", "is damaged; export the bundle again"),
        ("[1]", "is damaged; export the bundle again"),
        ('{"resizing": [{"cosf": 1}]}', "is damaged: its resizing cannot be read"),
    ],
)
def test_a_damaged_report_is_told_before_the_work(leanclip, bundle, pairs, report, said):
    (bundle / REPORT).write_text(report)
    line = refused(leanclip, bundle, "--data", pairs)
    assert f"{REPORT} {said}" in line


def test_bad_data_is_told(leanclip, bundle, pairs, tmp_path):
    assert "missing.jsonl" in refused(leanclip, bundle, "--data", tmp_path / "missing.jsonl")
    (tmp_path / "photos" / "3.jpg").unlink()
    assert "no such photo" in refused(leanclip, bundle, "--data", pairs)
    for photo in (tmp_path / "photos").iterdir():
        photo.write_bytes(b"no photo")
    (tmp_path / "photos" / "3.jpg").write_bytes(b"no photo")
    assert "none of the photos can be decoded" in refused(leanclip, bundle, "--data", pairs)


def test_what_needs_a_truth_asks_for_one(leanclip, bundle, pairs):
    for option in ("--golden", "--recommend"):
        assert "--checkpoint" in refused(leanclip, bundle, "--data", pairs, option)


def test_a_folder_that_is_no_bundle_is_told(leanclip, tmp_path, pairs):
    (tmp_path / "empty").mkdir()
    assert "is not a bundle" in refused(leanclip, tmp_path / "empty", "--data", pairs)


def test_export_recommends_what_still_retrieves(leanclip, made, pairs, tmp_path):
    checkpoint, out = made.with_name("bundle.checkpoint"), tmp_path / "out"
    missing = tmp_path / "missing.jsonl"
    status, _, said = leanclip("export", checkpoint, out, "--recommend", missing)
    assert (status, out.exists()) == (1, False)
    assert "missing.jsonl" in said
    status, _, said = leanclip(
        "export", checkpoint, out, "--precision", "fp16", "--recommend", pairs
    )
    assert status == 0, said
    manifest = json.loads((out / "bundle.json").read_text())
    assert [file["recommended"] for file in manifest["files"]] == [True, True]
    assert json.loads((out / REPORT).read_text())["verification"]["truth"] == "PyTorch in float32"

import json
import shutil

import pytest

from export.probe.files import probe_schema, read_probe, write_probe
from tests.golden import change_golden


@pytest.fixture(scope="module")
def probed(made, tmp_path_factory):
    """A probe of it that a module shares. Do not change it."""
    from export.probe.run import Request, run_probe

    path = tmp_path_factory.mktemp("probed") / "probe.json"
    write_probe(path, run_probe(Request(made)))
    return path


def test_files_and_pytorch_are_timed_side_by_side(leanclip, made, tmp_path):
    out = tmp_path / "probe.json"
    checkpoint = made.with_name("bundle.checkpoint")
    options = ("--format", "onnx,torch", "--checkpoint", checkpoint, "--out", out)
    status, output, _ = leanclip("probe", made, *options)
    assert status == 0
    for part in ("image onnx fp16", "text torch fp32", "onnxruntime", "p99", "cosine"):
        assert part in output
    result = read_probe(out)
    assert [file.key[:2] for file in result.files] == [
        ("image", "onnx"),
        ("text", "onnx"),
        ("image", "torch"),
        ("text", "torch"),
    ]
    assert result.device.kind == "host"
    assert {len(file.timing.milliseconds) for file in result.files} == {100}


def test_json_is_all_that_standard_output_holds(leanclip, made):
    status, output, _ = leanclip("probe", made, "--json", "--threads", 2)
    value = json.loads(output)
    assert status == 0
    assert {file["threads"] for file in value["files"]} == {2}
    assert {file["golden"]["passed"] for file in value["files"]} == {True}


def test_a_failed_golden_check_is_status_1_and_no_latency(leanclip, made, tmp_path):
    bundle, out = tmp_path / "bundle", tmp_path / "probe.json"
    shutil.copytree(made, bundle)
    change_golden(bundle, lambda golden: golden["pattern"]["embedding"].reverse())
    status, output, _ = leanclip("probe", bundle, "--out", out)
    assert status == 1
    assert "image onnx fp16: no latency, since its golden check failed (the pattern" in output
    image, text = read_probe(out).files
    assert (image.timing, image.golden.passed) == (None, False)
    assert text.timing is not None


def test_ratios_of_two_probes(leanclip, probed, tmp_path):
    value = json.loads(probed.read_text())
    for file in value["files"]:
        timing = file["timing"]
        for name in ("p50_ms", "p90_ms", "p99_ms", "trimmed_mean_ms", "cold_load_ms"):
            timing[name] *= 2
        timing["milliseconds"] = [2 * one for one in timing["milliseconds"]]
    # A row that the other has not is left out.
    del value["files"][1]
    (tmp_path / "slow.json").write_text(json.dumps(value))
    status, output, _ = leanclip("probe", "--compare", probed, tmp_path / "slow.json", "--json")
    (row,) = json.loads(output)
    assert status == 0
    assert (row["tower"], row["format"], row["precision"]) == ("image", "onnx", "fp16")
    assert row["ratio"]["p50_ms"] == pytest.approx(2, rel=1e-3)
    assert row["ratio"]["cold_load_ms"] == pytest.approx(2, rel=1e-3)
    assert row["ratio"]["peak_memory_bytes"] == 1
    _, output, _ = leanclip("probe", "--compare", probed, tmp_path / "slow.json")
    line = next(line for line in output.splitlines() if "image onnx fp16" in line)
    assert line.split()[-4:] == ["2.00", "2.00", "2.00", "1.00"]


def test_the_schema_can_be_printed(leanclip):
    assert leanclip("probe", "--schema") == (0, probe_schema(), "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "which bundle? leanclip probe BUNDLE"),
        (("{tmp}/none",), "none is not a bundle"),
        (("{made}", "--format", "tflite"), "there is no format 'tflite'; formats: onnx, litert"),
        (("{made}", "--format", "coreml"), "coreml files are not run on this machine"),
        (("{made}", "--format", "torch"), "name the model's folder with --checkpoint"),
        (("{made}", "--precision", "int4"), "of precision int4 to probe here; it has onnx fp16"),
        (("{made}", "--checkpoint", "{tmp}/none"), "none is not a checkpoint"),
        (("{made}", "--serial", "1"), "--serial is for --device android or ios, not for host"),
        (("{made}", "--device", "ios", "--binary", "x"), "--binary is for --device android"),
        (("{made}", "--device", "ios", "--format", "litert"), "litert files are not run there"),
        (("{made}", "--device", "android", "--binary", "{tmp}/x"), "there is no"),
        (("{made}", "--device", "android"), "adb is not on the PATH: install Android's platform"),
        (("{made}", "--device", "ios"), "xcrun is not on the PATH: iPhones can be probed from"),
        (("{made}", "--device", "browser", "--app", "{tmp}"), "probe.html: assemble the page"),
        (("--compare", "{probed}", "{tmp}/none.json"), "none.json: No such file"),
        (("--compare", "{probed}", "{tmp}/bad.json"), "bad.json is no probe: it is not JSON"),
        (("--compare", "{probed}", "{made}/bundle.json"), "is no probe: it has no schema_version"),
        (("--compare", "{probed}", "{tmp}/newer.json"), "has version 2 of the probe's schema"),
        (("--compare", "{probed}", "{tmp}/other.json"), "are of different models, tiny and tiny"),
        (("--compare", "{probed}", "{tmp}/apart.json"), "no tower of one format and precision"),
    ],
)
def test_bad_input_is_one_line(leanclip, made, probed, tmp_path, monkeypatch, arguments, said):
    value = json.loads(probed.read_text())
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "newer.json").write_text(json.dumps(value | {"schema_version": 2}))
    other = value | {"bundle": value["bundle"] | {"fingerprint": "other"}}
    (tmp_path / "other.json").write_text(json.dumps(other))
    apart = value | {"files": [file | {"precision": "int8"} for file in value["files"]]}
    (tmp_path / "apart.json").write_text(json.dumps(apart))
    before = sorted(tmp_path.iterdir())
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    places = {"tmp": tmp_path, "made": made, "probed": probed}
    given = [part.format(**places) for part in arguments]
    status, output, errors = leanclip("probe", *given, "--out", tmp_path / "out.json")
    assert (status, output) == (1, "")
    last = errors.splitlines()[-1]
    assert last.startswith("leanclip: ") and said in last
    assert "Traceback" not in errors
    assert sorted(tmp_path.iterdir()) == before

"""The script that a Mac's owner runs, here with the evaluator in place of Core ML."""

import importlib.machinery
import importlib.util
import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from export.verify import golden_inputs
from export.verify.golden import field_means, golden_pixels
from retrieval.spec.bundle import MANIFEST, TowerFile, read_bundle
from retrieval.spec.files import sha256_path, size_of, write_json
from retrieval.spec.preprocessing import Preprocessing
from tests.export.coreml.ml_program import MLProgram
from tests.tiny import tiny_bundle

SCRIPT = Path(__file__).parents[3] / "apps" / "ios" / "verify_on_mac"


@pytest.fixture(scope="module")
def script():
    loader = importlib.machinery.SourceFileLoader("verify_on_mac", str(SCRIPT))
    spec = importlib.util.spec_from_loader("verify_on_mac", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def bundle(tmp_path, whole_bundle):
    """A copy of the bundle that a test may change."""
    return Path(shutil.copytree(whole_bundle, tmp_path / "bundle"))


@pytest.fixture(scope="module")
def whole_bundle(tmp_path_factory, written):
    """A bundle whose Core ML files are of the same model as its golden file."""
    folder = tmp_path_factory.mktemp("mac") / "bundle"
    manifest = tiny_bundle(folder)
    files = list(manifest.files)
    for tower, precision in (("image", "int8"), ("text", "fp16")):
        path, said = written(tower, precision)
        copy = folder / "coreml" / path.name
        shutil.copytree(path, copy)
        files.append(
            TowerFile(
                tower=tower,
                format="coreml",
                precision=precision,
                file=copy.relative_to(folder).as_posix(),
                sha256=sha256_path(copy),
                bytes=size_of(copy),
                interface=said.interface,
            )
        )
    whole = manifest.model_copy(update={"files": tuple(files)})
    write_json(folder / MANIFEST, whole.model_dump(mode="json"))
    assert read_bundle(folder) == whole
    return folder


def _keep_onnx(folder):
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    manifest["files"] = [one for one in manifest["files"] if one["format"] == "onnx"]
    write_json(folder / MANIFEST, manifest)


@cache
def _program(sha256, path):
    return MLProgram(path)


def _evaluator(path, units):
    """What Core ML's ``predict`` is, made of the evaluator."""
    assert units in ("ALL", "CPU_ONLY", "CPU_AND_GPU", "CPU_AND_NE")
    program = _program(sha256_path(path), path)
    # Asked sixty times for the sake of its speed, which is not what is tested here.
    known = {}

    def predict(given):
        ((name, taken),) = given.items()
        assert name == program.input
        row = np.asarray(taken)[0] if name == "tokens" else np.asarray(taken).transpose(2, 0, 1)
        key = row.tobytes()
        if key not in known:
            known[key] = program(row[None])
        return {program.output: known[key]}

    return predict


def test_right_files_pass_on_every_choice_of_compute_units(script, bundle, tmp_path, capsys):
    table = tmp_path / "table.json"
    arguments = [str(bundle), "--json", str(table)]
    assert script.main(arguments, _evaluator) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 2 * 4 + 1
    assert lines[-1] == "8 of 8 passed"
    assert all(line.endswith("passed") for line in lines[1:])
    rows = json.loads(table.read_text("utf-8"))["rows"]
    assert {row["units"] for row in rows} == set(script.UNITS)
    assert all(row["limit"] <= row["cosine"] <= 1.000001 for row in rows)
    assert all(row["median_ms"] > 0 for row in rows)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda vector: vector[:, ::-1], "cosine"),
        (lambda vector: vector * 2, "length 2.0"),
        (lambda vector: vector * np.nan, "not finite"),
        (lambda vector: vector[:, 1:], "numbers, 24 expected"),
    ],
)
def test_wrong_vectors_fail(script, bundle, capsys, harm, said):
    def load(path, units):
        predict = _evaluator(path, units)
        return lambda given: {"embedding": harm(predict(given)["embedding"])}

    assert script.main([str(bundle), "--units", "all"], load) == 1
    output = capsys.readouterr().out
    assert said in output
    assert output.endswith("0 of 2 passed\n")


def test_file_that_does_not_load_fails_and_the_others_go_on(script, bundle, capsys):
    def load(path, units):
        if "image" in path.name:
            raise RuntimeError("Error compiling model:\n no Neural Engine")
        return _evaluator(path, units)

    assert script.main([str(bundle), "--units", "all"], load) == 1
    output = capsys.readouterr().out
    assert "FAILED: RuntimeError: Error compiling model: no Neural Engine" in output
    assert "1 of 2 passed" in output


def test_ten_predictions_do_not_count(script, monkeypatch):
    calls = []
    ticks = iter(range(200))
    monkeypatch.setattr(script.time, "perf_counter", lambda: next(ticks))
    assert script.median_ms(lambda: calls.append(1)) == 1000
    assert len(calls) == 60


@pytest.mark.parametrize("mode", ["shortest", "squash", "longest"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
def test_inputs_are_decoded_as_leanclip_decodes_them(script, mode, interpolation):
    spec = Preprocessing(size=33, resize_mode=mode, interpolation=interpolation, fill=(9, 80, 200))
    jpegs = [jpeg for _, jpeg in golden_inputs.photos()]
    expected = golden_pixels(jpegs, spec)
    data = spec.model_dump(mode="json")
    found = [np.asarray(script.prepared(jpeg, data)) for jpeg in jpegs]
    found.append(script.pattern(33))
    # Pillow may resize across or down first, where leanclip first cuts: a level of difference.
    difference = np.abs(np.stack(found).transpose(0, 3, 1, 2).astype(int) - expected)
    assert difference.max() <= 1
    np.testing.assert_allclose(script.field_means(found[0]), field_means(expected[0]), atol=0.5)


def test_photo_that_is_not_turned_upright_fails(script, bundle, capsys):
    golden = json.loads((bundle / "golden.json").read_text("utf-8"))
    manifest = json.loads((bundle / "bundle.json").read_text("utf-8"))
    manifest["preprocessing"]["exif_orientation"] = "ignore"
    failures = {name: failure for name, _, _, failure in script.image_cases(manifest, golden)}
    assert failures["photo wide"] is None
    assert "pixels differ" in failures["photo turned-right"]


def test_changed_file_is_refused(script, bundle, capsys):
    (weights,) = (bundle / "coreml").glob("text*/**/weight.bin")
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert script.main([str(bundle)], _evaluator) == 2
    error = capsys.readouterr().err
    assert "text-fp16.mlpackage is damaged" in error
    assert len(error.splitlines()) == 1


def test_changed_golden_file_is_refused(script, bundle, capsys):
    whole = (bundle / "golden.json").read_text("utf-8")
    lenient = whole.replace('"grid_tolerance":3.0', '"grid_tolerance":9.0')
    assert lenient != whole
    (bundle / "golden.json").write_text(lenient, "utf-8")
    assert script.main([str(bundle)], _evaluator) == 2
    error = capsys.readouterr().err
    assert "golden.json is damaged" in error
    assert len(error.splitlines()) == 1


def test_what_the_finder_leaves_does_not_count(script, bundle):
    (package,) = (bundle / "coreml").glob("text*")
    before = script.sha256_of(package)
    (package / ".DS_Store").write_bytes(b"views")
    assert script.sha256_of(package) == before


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda folder: (folder / "golden.json").unlink(), "cannot read"),
        (lambda folder: (folder / "bundle.json").write_text("{}"), "lacks 'files'"),
        (lambda folder: shutil.rmtree(folder / "coreml"), "is missing"),
        (_keep_onnx, "no Core ML file"),
    ],
)
def test_what_is_missing_is_one_line(script, bundle, capsys, break_it, said):
    break_it(bundle)
    assert script.main([str(bundle)], _evaluator) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "darwin", reason="there it runs")
def test_other_systems_are_told_so_in_one_line(bundle):
    done = subprocess.run(
        [sys.executable, SCRIPT, bundle], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "verify_on_mac: Core ML is a part of macOS, and this is linux\n"


def test_it_imports_nothing_of_leanclip():
    text = SCRIPT.read_text("utf-8")
    assert "import retrieval" not in text
    assert "import export" not in text
    assert "from retrieval" not in text
    assert "from export" not in text

import importlib.util
import json

import numpy as np
import pytest

from export.probe.host import probe_host
from export.probe.inputs import golden_rows, in_file_form
from export.probe.plan import make_plan
from export.probe.run import Request, run_probe
from retrieval.spec.bundle import MANIFEST, Interface, read_bundle
from retrieval.spec.errors import BundleError, MissingExtraError, ProbeError
from retrieval.spec.files import sha256_file
from tests.golden import change_golden
from tests.tiny import tiny_bundle, tiny_checkpoint


@pytest.fixture(scope="session")
def converted(tmp_path_factory):
    """A bundle of real ONNX and LiteRT files. Do not change it."""
    folder = tmp_path_factory.mktemp("converted") / "bundle"
    tiny_bundle(folder, formats=("onnx", "litert"), precision=("fp32",))
    return folder


def test_runtimes_are_timed_side_by_side(converted):
    plan = make_plan(converted, formats=("onnx", "litert"), sustained_seconds=0.05)
    told = []
    checkpoint = converted.with_name("bundle.checkpoint")
    result = probe_host(plan, checkpoint=checkpoint, tell=told.append)
    found = {(file.tower, file.runtime.name): file for file in result.files}
    runtimes = ("onnxruntime", "litert", "torch")
    assert found.keys() == {(tower, name) for tower in ("image", "text") for name in runtimes}
    for file in result.files:
        assert file.golden.worst_cosine >= 0.9999
        assert (file.timing.runs, file.timing.warm_ups, file.threads) == (100, 10, 1)
        assert min(file.timing.milliseconds) > 0
        assert file.timing.cold_load_ms > 0 and file.timing.warm_load_ms > 0
        assert file.sustained.seconds >= 0.05
    assert "round 10 of 10" in told
    assert result.bundle.fingerprint == plan.bundle.fingerprint
    # Each had a process of its own: PyTorch's is the large one.
    peaks = {key: file.peak_memory_bytes for key, file in found.items()}
    assert peaks["image", "torch"] > 1.5 * peaks["image", "onnxruntime"]


def test_a_file_that_fails_its_golden_check_has_no_latency(bundle):
    def turn(golden):
        vector = golden["sentences"][3]["embedding"]
        golden["sentences"][3]["embedding"] = vector[1:] + vector[:1]

    change_golden(bundle, turn)
    result = probe_host(make_plan(bundle, formats=("onnx",)))
    image, text = sorted(result.files, key=lambda file: file.tower)
    assert image.timing is not None
    assert (text.golden.passed, text.timing, text.peak_memory_bytes) == (False, None, None)
    assert "golden check failed (sentence '': cosine" in text.reason
    assert not result.passed


def test_a_file_that_does_not_load_is_a_row_and_the_others_go_on(bundle):
    path = bundle / "onnx/image.onnx"
    path = path if path.exists() else next(bundle.glob("onnx/image*.onnx"))
    path.unlink()
    path.write_bytes(b"no model")
    manifest = json.loads((bundle / MANIFEST).read_text())
    for file in manifest["files"]:
        if (bundle / file["file"]) == path:
            file["sha256"] = sha256_file(path)
    (bundle / MANIFEST).write_text(json.dumps(manifest))
    result = probe_host(make_plan(bundle, formats=("onnx",)))
    image, text = sorted(result.files, key=lambda file: file.tower)
    assert text.timing is not None
    assert image.golden is None
    assert str(path) in image.reason and "cannot be run" in image.reason


def test_a_damaged_file_is_not_probed(bundle):
    path = next(bundle.glob("onnx/text*.onnx"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.unlink()
    path.write_bytes(data)
    with pytest.raises(BundleError, match="is damaged"):
        make_plan(bundle, formats=("onnx",))


def test_another_models_checkpoint_is_refused(bundle, tmp_path):
    tiny_checkpoint(tmp_path / "other", seed=1)
    with pytest.raises(ProbeError, match="another model"):
        probe_host(make_plan(bundle, formats=("onnx",)), checkpoint=tmp_path / "other")


def test_files_can_be_chosen_and_a_choice_of_none_says_what_there_is(bundle):
    assert {file.precision for file in make_plan(bundle, formats=("litert",)).files} == {"fp32"}
    with pytest.raises(ProbeError, match="no coreml to probe here; it has litert fp32, onnx fp16"):
        make_plan(bundle, formats=("coreml",))
    with pytest.raises(ProbeError, match="no onnx files of precision int4"):
        make_plan(bundle, formats=("onnx",), precisions=("int4",))


def test_rows_take_the_form_of_the_file(exported):
    bundle = read_bundle(exported)
    rows = golden_rows(exported, bundle)["image"].rows
    interface = Interface(input="x", output="y", type="float32", layout="NHWC", batch=1)
    ready = in_file_form(rows, bundle.preprocessing, interface)
    assert (ready.dtype, ready.shape) == (np.float32, (len(rows), 32, 32, 3))
    np.testing.assert_array_equal(ready, rows.transpose(0, 2, 3, 1))


def test_embeddings_that_are_wrong_in_any_way_fail(exported):
    golden = golden_rows(exported, read_bundle(exported))["text"]
    right = golden.expected.astype(np.float32)
    assert golden.judge(right, "fp32").passed
    for wrong in (right * 1.1, right[:, :-1], np.full_like(right, np.nan)):
        check = golden.judge(wrong, "int8")
        assert (check.passed, check.worst_cosine) == (False, None)
        assert check.failures


def test_formats_whose_runtime_is_missing_are_left_out_with_a_note(bundle, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ai_edge_litert" else found(name)
    )
    notes = []
    result = run_probe(Request(bundle), note=notes.append)
    assert {file.format for file in result.files} == {"onnx"}
    assert notes == ["its litert files are left out: pip install 'leanclip[litert]'"]
    with pytest.raises(MissingExtraError, match=r"leanclip\[litert\]"):
        run_probe(Request(bundle, formats=("litert",)))

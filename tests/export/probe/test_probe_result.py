import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from export.probe.figures import Slice, SustainedRun, Timing
from export.probe.files import probe_schema, read_probe, write_probe
from export.probe.result import FileResult, GoldenCheck, Runtime
from retrieval.spec.errors import ProbeError
from tests.export.probe.conftest import an_answer

PASSED = GoldenCheck(worst_cosine=0.999, least_cosine=0.98, passed=True)
FAILED = GoldenCheck(worst_cosine=0.5, least_cosine=0.98, passed=False, failures=("a photo",))


def a_timing():
    return Timing.of([float(index) for index in range(1, 51)], warm_ups=10)


def a_file(**changes):
    given = {
        "tower": "image",
        "format": "onnx",
        "precision": "int8",
        "file": "onnx/image-int8.onnx",
        "sha256": "0" * 64,
        "runtime": Runtime(name="onnxruntime", version="1.31.1"),
        "delegate": "CPU",
        "threads": 1,
        "golden": PASSED,
        "timing": a_timing(),
    }
    return FileResult(**given | changes)


def test_figures_are_those_of_the_runs():
    timing = a_timing()
    assert (timing.p50_ms, timing.p90_ms, timing.p99_ms) == (25.5, 45.1, 49.51)
    assert timing.trimmed_mean_ms == np.mean(range(6, 46))
    assert (timing.runs, timing.warm_ups, len(timing.milliseconds)) == (50, 10, 50)


@pytest.mark.parametrize(
    ("milliseconds", "warm_ups"), [([1.0] * 49, 10), ([1.0] * 50, 9), ([1.0, -1.0] * 25, 10)]
)
def test_too_few_runs_or_warm_ups_are_refused(milliseconds, warm_ups):
    with pytest.raises(ValidationError):
        Timing.of(milliseconds, warm_ups=warm_ups)


@pytest.mark.parametrize("name", ["p50_ms", "p90_ms", "p99_ms", "trimmed_mean_ms"])
def test_a_figure_that_the_runs_do_not_give_is_refused(name):
    value = a_timing().model_dump()
    value[name] += 0.5
    with pytest.raises(ValidationError, match=f"{name} is not what the milliseconds give"):
        Timing.model_validate(value)


def test_a_sustained_run_is_cut_into_slices():
    calls = [(0.0, 4.0), (10.0, 6.0), (16.0, 9.0), (40.0, 10.0), (44.0, 20.0)]
    run = SustainedRun.of(calls, slice_seconds=15)
    assert [(part.start_s, part.p50_ms, part.runs) for part in run.slices] == [
        (0, 5.0, 2),
        (15, 9.0, 1),
        (30, 15.0, 2),
    ]
    assert (run.seconds, run.slow_down) == (44.02, 3.0)
    with pytest.raises(ValidationError, match="slow_down"):
        SustainedRun(seconds=30, slices=[Slice(start_s=0, p50_ms=2, runs=1)], slow_down=2)


@pytest.mark.parametrize("golden", [FAILED, None])
def test_no_latency_without_a_passing_golden_check(golden):
    with pytest.raises(ValidationError, match="no golden check passed"):
        a_file(golden=golden)
    assert a_file(golden=golden, timing=None, reason="it failed").timing is None


def test_a_file_without_a_latency_says_why():
    with pytest.raises(ValidationError, match="reason why it has none"):
        a_file(timing=None)


@pytest.mark.parametrize(
    "claim",
    [
        {"worst_cosine": 0.5, "least_cosine": 0.98, "passed": True},
        {"worst_cosine": None, "least_cosine": 0.98, "passed": True},
        {"worst_cosine": 0.99, "least_cosine": 0.98, "passed": True, "failures": ["a photo"]},
        {"worst_cosine": 0.99, "least_cosine": 0.98, "passed": False},
    ],
)
def test_passed_cannot_be_claimed(claim):
    with pytest.raises(ValidationError, match="passed does not agree"):
        GoldenCheck.model_validate(claim)


def test_the_committed_schema_is_current():
    """If not: leanclip probe --schema > apps/probe-result.schema.json"""
    committed = Path(__file__).parents[3] / "apps" / "probe-result.schema.json"
    assert committed.read_text("utf-8") == probe_schema()


def test_a_probe_survives_being_written(litert_plan, tmp_path):
    probe = an_answer(litert_plan, "android")
    write_probe(tmp_path / "probe.json", probe)
    assert read_probe(tmp_path / "probe.json") == probe


def _changed(value, path, new):
    *way, last = path
    for step in way:
        value = value[step]
    value[last] = new


@pytest.mark.parametrize(
    ("path", "new", "said"),
    [
        (["schema_version"], 2, "has version 2 of the probe's schema"),
        (["device", "kind"], "toaster", "device.kind"),
        (["files", 0, "golden", "passed"], False, "passed does not agree"),
        (["files", 0, "timing", "runs"], 10, "files.0.timing.runs"),
        (["files", 0, "secret"], 1, "files.0.secret"),
        (["timestamp"], "2026-11-05T12:00:00", "timezone"),
    ],
)
def test_a_malformed_probe_is_one_clear_line(litert_plan, tmp_path, path, new, said):
    file = tmp_path / "probe.json"
    write_probe(file, an_answer(litert_plan, "android"))
    value = json.loads(file.read_text())
    _changed(value, path, new)
    file.write_text(json.dumps(value))
    with pytest.raises(ProbeError) as failed:
        read_probe(file)
    assert str(file) in str(failed.value)
    assert said in str(failed.value)
    assert "\n" not in str(failed.value)

"""The app's probe computes and writes what `leanclip probe` computes and reads."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.probe.figures import SustainedRun, Timing
from export.probe.files import parse_probe
from export.probe.job import JOB, check_answer, stage_job
from export.probe.plan import Plan, make_plan
from export.probe.result import ProbeResult
from tests.e2e.android.android_core import Core, RefusedError
from tests.e2e.android.android_host import Host

BUNDLE = Path("data/default").resolve()
FACTS = {
    "device": {"kind": "android", "maker": "Google", "model": "Pixel 9"},
    "system": {"name": "Android", "version": "16"},
    "thermal": "light",
}
NEAR = 1e-3


@pytest.mark.parametrize("runs", [50, 51, 99, 100, 137])
def test_the_figures_are_those_of_every_other_device(core: Core, runs: int) -> None:
    milliseconds = np.random.default_rng(runs).gamma(3, 4, runs).tolist()
    found = core("timing", milliseconds=milliseconds, warm_ups=10)
    right = Timing.of(
        milliseconds, warm_ups=10, cold_load_ms=1, warm_load_ms=2, first_inference_ms=3
    ).model_dump(mode="json")
    assert found.pop("milliseconds") == pytest.approx(right.pop("milliseconds"), abs=1e-9)
    # The last digit that is kept may differ: sums run in another order.
    assert found == pytest.approx(right, abs=1e-4)


def test_too_few_runs_and_warm_ups_make_no_latency(core: Core) -> None:
    with pytest.raises(AssertionError, match="10 warm-ups and 50 runs"):
        core("timing", milliseconds=[1.0] * 49, warm_ups=10)
    with pytest.raises(AssertionError, match="10 warm-ups and 50 runs"):
        core("timing", milliseconds=[1.0] * 50, warm_ups=9)


def test_a_sustained_run_is_cut_into_the_same_slices(core: Core) -> None:
    random = np.random.default_rng(1)
    milliseconds = (random.gamma(9, 1, 400) * np.linspace(1, 2, 400)).tolist()
    starts = np.cumsum([0, *random.uniform(0, 0.4, 399)]).tolist()
    for count in (1, 2, 400):
        calls = list(zip(starts, milliseconds, strict=True))[:count]
        right = SustainedRun.of(calls).model_dump(mode="json")
        found = core("sustained", starts=starts[:count], milliseconds=milliseconds[:count])
        slices = found.pop("slices")
        for part, expected in zip(slices, right.pop("slices"), strict=True):
            assert part == pytest.approx(expected, abs=1e-4)
        assert found == pytest.approx(right, abs=NEAR)


def test_a_clock_too_coarse_divides_by_no_zero(core: Core) -> None:
    found = core("sustained", starts=[0, 16], milliseconds=[0, 0.5])
    right = SustainedRun.of([(0, 0), (16, 0.5)])
    assert found["slow_down"] == pytest.approx(right.slow_down)


def probed(core: Core, folder: Path, **changes: Any) -> tuple[Plan, ProbeResult]:
    plan = make_plan(BUNDLE, formats=["onnx"], sustained_seconds=0.2)
    stage_job(plan, "run", folder)
    job = folder / JOB
    job.write_text(json.dumps(json.loads(job.read_text()) | changes))
    text = core("probe", folder=str(folder), facts=FACTS)
    return plan, parse_probe(text, origin="the core")


def test_a_result_is_what_the_command_asked_for(core: Core, tmp_path: Path) -> None:
    core.reply = Host(BUNDLE)
    plan, result = probed(core, tmp_path, runs=60)
    assert check_answer(plan, result, "android") is result
    assert result.passed
    assert result.device.model == "Pixel 9"
    for file in result.files:
        assert file.golden is not None and file.timing is not None and file.sustained is not None
        assert file.golden.worst_cosine is not None and file.golden.worst_cosine > 0.98
        assert (file.timing.runs, file.timing.warm_ups, len(file.timing.milliseconds)) == (
            *(60, 10, 60),
        )
        assert file.sustained.seconds >= 0.2
        assert (file.delegate, file.threads, file.thermal_after) == ("CPU", plan.threads, "light")
        # Of two files in one process, nobody knows whose the peak was.
        assert file.peak_memory_bytes is None


def test_the_peak_is_told_of_a_file_alone(core: Core, tmp_path: Path) -> None:
    core.reply = Host(BUNDLE)
    _, result = probed(
        core, tmp_path, files=["onnx/text-int8.onnx"], sustained_seconds=None, runs=50
    )
    (file,) = result.files
    assert file.peak_memory_bytes == 1_000_000
    assert file.sustained is None


def test_wrong_vectors_have_no_latency(core: Core, tmp_path: Path) -> None:
    class Twisting(Host):
        def embedding(self, file: str, delegate: str, data: bytes) -> list[float]:
            found = super().embedding(file, delegate, data)
            return found if file == "onnx/image-mixed.onnx" else found[::-1]

    core.reply = Twisting(BUNDLE)
    _, result = probed(core, tmp_path, sustained_seconds=None)
    image, text = result.files
    assert image.timing is not None
    assert text.timing is None and text.golden is not None and not text.golden.passed
    assert text.reason is not None
    assert text.reason.startswith("no latency, since its golden check failed (sentence 'a photo")


def test_a_file_that_does_not_load_does_not_stop_the_others(core: Core, tmp_path: Path) -> None:
    class Refusing(Host):
        def load(self, file: str, delegate: str) -> dict[str, Any]:
            return {} if file == "onnx/image-mixed.onnx" else {"loaded": file}

    core.reply = Refusing(BUNDLE)
    _, result = probed(core, tmp_path, sustained_seconds=None)
    image, text = result.files
    assert text.timing is not None
    assert image.timing is None and image.golden is None
    assert image.reason is not None and image.reason.startswith(
        "onnx/image-mixed.onnx cannot be run: "
    )


def test_a_damaged_copy_is_told(core: Core, tmp_path: Path) -> None:
    plan = make_plan(BUNDLE, formats=["onnx"])
    stage_job(plan, "run", tmp_path)
    (tmp_path / "bundle/onnx/image-mixed.onnx").write_bytes(b"half")
    core.reply = Host(BUNDLE)
    text = core("probe", folder=str(tmp_path), facts=FACTS)
    image, other = parse_probe(text, origin="the core").files
    assert image.reason is not None and "is damaged: its SHA-256" in image.reason
    assert other.timing is not None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema_version": 2}, "another version: install the app of this version of leanclip"),
        ({"files": ["onnx/other.onnx"]}, "asks for onnx/other.onnx, which its bundle does not"),
        ({"threads": None}, "threads is missing"),
    ],
)
def test_a_job_that_cannot_be_done_is_refused(
    core: Core, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RefusedError, match=reason):
        probed(core, tmp_path, **changes)

import json
from pathlib import Path

import pytest

from export.probe.adb import find_phone
from export.probe.android_app import probe_with_app
from export.probe.android_binary import check_binary, probe_with_binary
from export.probe.files import write_probe
from export.probe.litert_tool import read_output
from export.probe.plan import make_plan
from retrieval.spec.errors import ProbeError
from tests.export.probe.conftest import an_answer, write_vectors


@pytest.fixture
def tool(tmp_path):
    """A file that the stand-in phone takes for benchmark_model, of some kind."""

    def write(kind="good"):
        path = tmp_path / "benchmark_model"
        path.write_text(kind)
        return path

    return write


def left_on(home: Path, serial: str) -> list[Path]:
    """Files that a probe left on a phone."""
    places = (home / serial / "root", home / serial / "app")
    return [path for place in places for path in place.rglob("*") if path.is_file()]


def test_the_tool_is_pushed_checked_timed_and_removed(devices, litert_plan, tool):
    home = devices(R5CT={"thermal": 2})
    write_vectors(home, litert_plan)
    result = probe_with_binary(litert_plan, find_phone(None), tool())
    assert (result.device.maker, result.device.model) == ("Maker", "Model 8")
    assert (result.system.name, result.system.version) == ("Android", "14")
    for file in result.files:
        assert file.golden.passed and file.golden.worst_cosine > 0.9999
        assert (file.timing.p50_ms, file.timing.p90_ms) == (14.061, None)
        assert (file.timing.cold_load_ms, file.timing.first_inference_ms) == (20.283, 18.535)
        assert (file.timing.runs, file.timing.warm_ups) == (100, 10)
        assert file.peak_memory_bytes == 12.5 * 2**20
        assert (file.thermal_before, file.thermal_after) == ("moderate", "moderate")
    assert left_on(home, "R5CT") == []
    assert not list((home / "R5CT/root/data/local/tmp").iterdir())


def test_a_sustained_run_is_one_run_of_the_tool_after_the_other(devices, bundle, tool):
    home = devices(R5CT={"api": 28})
    plan = make_plan(bundle, formats=("litert",), sustained_seconds=45)
    write_vectors(home, plan)
    result = probe_with_binary(plan, find_phone(None), tool())
    sustained = result.files[0].sustained
    assert [part.start_s for part in sustained.slices] == [0, 15, 30]
    assert (sustained.seconds, sustained.slow_down) == (45, 1)
    # Android 9 has no thermal service.
    assert result.files[0].thermal_before is None
    calls = (home / "calls.txt").read_text()
    assert calls.count("--min_secs=15") == 2 * 3


def test_wrong_embeddings_get_no_latency(devices, litert_plan, tool):
    home = devices(R5CT={})
    write_vectors(home, litert_plan, noise=0.3)
    result = probe_with_binary(litert_plan, find_phone(None), tool())
    for file in result.files:
        assert (file.golden.passed, file.timing, file.peak_memory_bytes) == (False, None, None)
        assert "golden check failed" in file.reason
    assert not result.passed
    # It was not even timed.
    assert "--num_runs=100" not in (home / "calls.txt").read_text()


def test_a_tool_that_writes_no_output_gets_no_latency(devices, litert_plan, tool):
    home = devices(R5CT={})
    write_vectors(home, litert_plan)
    result = probe_with_binary(litert_plan, find_phone(None), tool("old"))
    assert {file.timing for file in result.files} == {None}
    assert "writes no output (--output_filepath)" in result.files[0].reason
    assert left_on(home, "R5CT") == []


def test_a_tool_for_another_processor_says_which_is_needed(devices, litert_plan, tool):
    home = devices(R5CT={})
    write_vectors(home, litert_plan)
    with pytest.raises(ProbeError, match="does not run on phone R5CT .*build it for arm64-v8a"):
        probe_with_binary(litert_plan, find_phone(None), tool("broken"))
    assert left_on(home, "R5CT") == []


def test_a_tool_that_shows_no_embeddings_is_refused(tmp_path):
    with pytest.raises(ProbeError, match=r"there is no .*benchmark_model: build"):
        check_binary(tmp_path / "benchmark_model")
    (tmp_path / "onnxruntime_perf_test").touch()
    with pytest.raises(ProbeError, match="no golden check can be made"):
        check_binary(tmp_path / "onnxruntime_perf_test")


@pytest.mark.parametrize(
    ("phones", "serial", "said"),
    [
        ({}, None, "no phone is connected: switch on USB debugging"),
        ({"A1": {}}, "B2", "phone B2 is not connected"),
        ({"A1": {}, "B2": {}}, None, "several phones are connected, choose one: --serial A1 | B2"),
        ({"A1": {"state": "unauthorized"}}, None, "accept the USB debugging prompt"),
        ({"A1": {"state": "offline"}}, None, "phone A1 is offline"),
        ({"A1": {"state": "no permissions (missing udev rules?)"}}, None, "add udev rules"),
        ({"A1": {"state": "recovery"}}, None, "start Android on it"),
        ({"A1": {"api": 24}}, None, "has Android API 24, at least 26"),
    ],
)
def test_a_phone_that_cannot_be_used_says_what_to_do(devices, phones, serial, said):
    devices(**phones)
    with pytest.raises(ProbeError) as failed:
        find_phone(serial)
    assert said in str(failed.value)
    assert "\n" not in str(failed.value)


def test_one_of_several_phones_can_be_chosen(devices):
    devices(A1={"state": "offline"}, B2={})
    assert find_phone("B2").serial == "B2"


def test_without_adb_the_package_to_install_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProbeError, match="adb is not on the PATH: install Android's platform-tool"):
        find_phone(None)


@pytest.mark.parametrize("place", ["chmod", "benchmark_model", "push", "pull", "dumpsys"])
def test_a_phone_unplugged_midway_is_named(devices, litert_plan, tool, place):
    home = devices(A1={"unplugged_at": place})
    write_vectors(home, litert_plan)
    with pytest.raises(ProbeError) as failed:
        probe_with_binary(litert_plan, find_phone(None), tool())
    assert "phone A1 is gone" in str(failed.value)
    assert "may be left on it" in str(failed.value)
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize("probe", ["binary", "app"])
def test_a_full_phone_is_cleaned(devices, litert_plan, tool, probe):
    home = devices(A1={"full": True, "app": "good"})
    with pytest.raises(ProbeError, match="phone A1 is full: cannot push .*; free some space"):
        if probe == "binary":
            probe_with_binary(litert_plan, find_phone(None), tool())
        else:
            probe_with_app(litert_plan, find_phone(None))
    assert not list((home / "A1/root/data/local/tmp").iterdir())


def test_the_app_answers_and_nothing_is_left(devices, litert_plan):
    home = devices(A1={"app": "good"})
    answer = an_answer(litert_plan, "android")
    write_probe(home / "answer.json", answer)
    assert probe_with_app(litert_plan, find_phone(None), poll_seconds=0) == answer
    assert left_on(home, "A1") == []
    calls = (home / "calls.txt").read_text()
    assert "am start -W -S -n org.leanclip.app/.ProbeActivity --es run leanclip-probe-" in calls
    # Only what the job names is pushed.
    assert "onnx" not in calls


def test_the_app_can_be_installed_first(devices, litert_plan, tmp_path):
    home = devices(A1={})
    (home / "answer.json").write_text("{}")
    with pytest.raises(ProbeError, match=r"has no org.leanclip.app: build apps/android"):
        probe_with_app(litert_plan, find_phone(None))
    with pytest.raises(ProbeError, match=r"there is no app at .*none.apk"):
        probe_with_app(litert_plan, find_phone(None), app=tmp_path / "none.apk")
    (tmp_path / "app.apk").touch()
    with pytest.raises(ProbeError, match="stopped without a result"):
        probe_with_app(litert_plan, find_phone(None), app=tmp_path / "app.apk", poll_seconds=0)
    assert "install -r -t" in (home / "calls.txt").read_text()


@pytest.mark.parametrize(
    ("like", "said"),
    [
        ({"app": "crashes"}, "the app on phone A1 stopped without a result"),
        ({"app": "gives-up"}, "the app on phone A1 gave up: not enough memory for this file"),
        ({"app": "old"}, "cannot start org.leanclip.app/.ProbeActivity (Error: Activity class"),
        ({"app": "good", "release_build": True}, "is no debug build"),
        ({"app": "good", "unplugged_at": "run-as"}, "phone A1 is gone"),
        ({"app": "good", "unplugged_at": "pidof"}, "phone A1 is gone"),
    ],
)
def test_an_app_that_fails_is_one_clear_line(devices, litert_plan, like, said):
    home = devices(A1=like)
    write_probe(home / "answer.json", an_answer(litert_plan, "android"))
    with pytest.raises(ProbeError) as failed:
        probe_with_app(litert_plan, find_phone(None), poll_seconds=0)
    assert said in str(failed.value)
    assert "\n" not in str(failed.value)
    if "unplugged_at" not in like:
        assert left_on(home, "A1") == []


def test_an_app_that_makes_nothing_is_given_up(devices, litert_plan, monkeypatch):
    home = devices(A1={"app": "slow"})
    monkeypatch.setattr("export.probe.android_app.seconds_allowed", lambda plan: 0.3)
    with pytest.raises(ProbeError, match="made no result within 0 seconds: keep the phone unlock"):
        probe_with_app(litert_plan, find_phone(None), poll_seconds=0)
    assert left_on(home, "A1") == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda value: value["device"].update(kind="ios"), "the app answered for tiny on ios"),
        (lambda value: value["bundle"].update(fingerprint="other"), "the app answered for tiny"),
        (lambda value: value["files"].pop(), "the app answered for 1 of 2 files"),
        (lambda value: value["files"][0].update(sha256="0" * 64), "answered for 1 of 2 files"),
        (lambda value: value["files"][0]["golden"].update(passed=False), "passed does not agree"),
        (lambda value: value.update(schema_version=2), "has version 2 of the probe's schema"),
    ],
)
def test_an_answer_that_does_not_belong_to_the_question_is_refused(
    devices, litert_plan, spoil, said
):
    home = devices(A1={"app": "good"})
    value = json.loads(an_answer(litert_plan, "android").model_dump_json())
    spoil(value)
    (home / "answer.json").write_text(json.dumps(value))
    with pytest.raises(ProbeError, match=said):
        probe_with_app(litert_plan, find_phone(None), poll_seconds=0)


def test_output_of_older_and_newer_tools_is_read():
    timings = (
        "Inference timings in us: Init: 855, First inference: 49060, Warmup (avg): 34825.1, "
        "Inference (avg): 33209.4\n"
    )
    older = "count=15 first=49060 curr=33682\ncount=50 first=32891 curr=33978 avg=33209.4 std=450\n"
    said = read_output(older + timings)
    assert (said.runs, said.p50_ms, said.load_ms, said.first_ms) == (50, None, 0.855, 49.06)
    same = "count=1 curr=49060\ncount=50 curr=33000(all same)\n"
    assert read_output(same + timings).p50_ms == 33.0
    large = "count=50 first=1 curr=1 avg=1 std=1 p5=1 median=1.25e+06 p95=2e+06\n"
    assert read_output(large + timings).p50_ms == 1250.0
    assert read_output("ERROR: Could not open model.") is None

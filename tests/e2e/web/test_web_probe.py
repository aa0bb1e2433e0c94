"""The probe page measures both towers, in the form that all probes share."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from export.probe.figures import Timing
from export.probe.result import ProbeResult
from retrieval.spec.bundle import GOLDEN, read_bundle
from tests.e2e.web.web_tab import WEB, Tab, read_json


def probe(tab: Tab, address: str) -> ProbeResult:
    tab.page.goto(address)
    return ProbeResult.model_validate_json(
        tab.page.evaluate("async () => JSON.stringify(await window.leanclipProbe)")
    )


def test_both_towers_are_measured(tab: Tab, site: str, assembled: Path, tmp_path: Path):
    result = probe(tab, f"{site}probe.html?runs=60&threads=1")
    bundle = read_bundle(assembled / "bundle")
    assert result.device.kind == "browser"
    assert "Chrom" in (result.system.browser or "")
    assert result.bundle.fingerprint == bundle.fingerprint
    assert result.leanclip == version("leanclip")
    by_tower = {file.tower: file for file in result.files}
    for tower, file in by_tower.items():
        entry = bundle.file(tower, "onnx")
        assert (file.file, file.sha256, file.precision) == (
            entry.file, entry.sha256, entry.precision,
        )  # fmt: skip
        assert file.runtime.name == "onnxruntime-web"
        assert (
            file.runtime.version
            == read_json(WEB / "package.json")["dependencies"]["onnxruntime-web"]
        )
        assert (file.delegate, file.threads) == ("wasm", 1)
        assert file.golden is not None and file.golden.passed
        assert file.timing is not None and (file.timing.runs, file.timing.warm_ups) == (60, 10)
        # The tower, the runtime and what they compute with.
        assert entry.bytes < (file.peak_memory_bytes or 0) < 1e9
    assert set(by_tower) == {"image", "text"}
    assert tab.page.locator("tbody tr").count() == 9
    with tab.page.expect_download() as started:
        tab.page.click("#download")
    started.value.save_as(tmp_path / "probe.json")
    assert ProbeResult.model_validate_json((tmp_path / "probe.json").read_bytes()) == result
    assert tab.complaints == []


@pytest.mark.parametrize(
    ("change", "query"),
    [
        ("performance.measureUserAgentSpecificMemory = undefined", "threads=1"),
        ("performance.measureUserAgentSpecificMemory = () => Promise.reject()", "threads=1"),
        ("", "threads=2"),
    ],
)
def test_memory_that_is_not_told_is_null(tab: Tab, site: str, change: str, query: str):
    tab.page.add_init_script(change)
    for file in probe(tab, f"{site}probe.html?bundle=tiny-0/&{query}").files:
        assert file.timing is not None
        assert file.peak_memory_bytes is None


def test_a_sustained_run_has_slices(tab: Tab, site: str):
    result = probe(tab, f"{site}probe.html?bundle=tiny-0/&sustained=0.3")
    for file in result.files:
        assert file.sustained is not None
        assert sum(part.runs for part in file.sustained.slices) > 1


def test_a_tower_that_fails_its_golden_check_has_no_latency(tab: Tab, site: str, assembled: Path):
    golden = read_json(assembled / "tiny-1" / GOLDEN)
    folder = assembled / "wrong-text"
    folder.mkdir(exist_ok=True)
    for path in (assembled / "tiny-1").rglob("*"):
        if path.is_file():
            target = folder / path.relative_to(assembled / "tiny-1")
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())
    golden["sentences"][0]["embedding"].reverse()
    (folder / GOLDEN).write_text(json.dumps(golden))
    image, text = probe(tab, f"{site}probe.html?bundle=wrong-text/").files
    assert image.timing is not None
    assert text.timing is None
    assert text.golden is not None and not text.golden.passed
    assert "the golden check failed" in (text.reason or "")


def test_a_bundle_that_is_missing_is_one_line(tab: Tab, site: str):
    tab.page.goto(f"{site}probe.html?bundle=nowhere/")
    tab.until("!document.querySelector('#problem').hidden")
    assert tab.problem().startswith("nowhere/bundle.json is missing (404)")


@pytest.mark.parametrize("runs", [50, 57])
def test_figures_equal_those_of_the_host(modules, runs: int):
    values = [((7 * run * run) % 101) / 9 for run in range(runs)]
    found = modules.evaluate(
        """async (values) => {
          const { timingOf } = await import("/src/probe/figures.js");
          return timingOf(values, { coldLoad: 3.14159265, warmLoad: 2, first: 1 });
        }""",
        values,
    )
    expected = Timing.of(
        values, warm_ups=10, cold_load_ms=3.14159265, warm_load_ms=2, first_inference_ms=1
    )
    # Halves are rounded up by one and to the even neighbour by the other.
    for name, value in expected.model_dump().items():
        assert found[name] == pytest.approx(
            list(value) if isinstance(value, tuple) else value, abs=1.1e-4
        )

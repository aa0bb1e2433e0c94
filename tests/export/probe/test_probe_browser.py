import json
import shutil
import urllib.error
import urllib.request
from dataclasses import replace

import pytest

from export.probe import browser
from export.probe.browser import probe_browser
from export.probe.plan import make_plan
from export.probe.serve import serving
from retrieval.spec.bundle import MANIFEST
from retrieval.spec.errors import ProbeError
from tests.export.probe.conftest import STAND_INS

WEB = STAND_INS / "web"


@pytest.fixture
def onnx_plan(exported):
    return make_plan(exported, formats=("onnx",))


@pytest.fixture
def chromium():
    """These tests drive a real browser; the rest of the package does not need one."""
    if browser._installed() is None:
        pytest.fail("no Chromium on the PATH: apt-get install chromium")


@pytest.fixture
def page(tmp_path):
    """A copy of the stand-in page with other code."""

    def write(code):
        folder = tmp_path / "web"
        shutil.copytree(WEB, folder)
        (folder / "probe.mjs").write_text(code)
        return folder

    return write


def test_the_page_answers_for_each_file(chromium, bundle):
    """A tower with two files: the page, which times one of each tower, is opened twice."""
    manifest = json.loads((bundle / MANIFEST).read_text())
    entry = next(f for f in manifest["files"] if (f["tower"], f["format"]) == ("image", "onnx"))
    second = entry | {"precision": "mixed", "file": "onnx/image-mixed.onnx"}
    shutil.copyfile(bundle / entry["file"], bundle / second["file"])
    manifest["files"].append(second)
    (bundle / MANIFEST).write_text(json.dumps(manifest))
    result = probe_browser(make_plan(bundle, formats=("onnx",)), WEB)
    assert (result.device.kind, result.system.browser) == ("browser", "Chromium")
    assert [file.key for file in result.files] == [
        ("image", "onnx", "fp16"),
        ("text", "onnx", "fp16"),
        ("image", "onnx", "mixed"),
    ]
    assert {(file.timing.runs, file.threads) for file in result.files} == {(100, 1)}


def test_one_tower_alone_can_be_asked_for(chromium, bundle):
    plan = make_plan(bundle, formats=("onnx",))
    plan = replace(plan, files=tuple(file for file in plan.files if file.tower == "text"))
    assert [file.tower for file in probe_browser(plan, WEB).files] == ["text"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("throw new Error('no such runtime')", "the probe page failed: no such runtime"),
        (
            "window.leanclipProbe = Promise.reject(new Error('no memory'))",
            "the probe page failed: .*no memory",
        ),
        ("window.leanclipProbe = Promise.resolve({})", "is no probe: it has no schema_version"),
        ("window.leanclipProbe = new Promise(() => {})", "no result within 1 seconds"),
    ],
)
def test_a_page_that_fails_is_one_clear_line(chromium, onnx_plan, page, monkeypatch, code, said):
    monkeypatch.setattr(browser, "seconds_allowed", lambda plan: 1)
    monkeypatch.setattr(browser, "_START_SECONDS", 2)
    with pytest.raises(ProbeError, match=said) as failed:
        probe_browser(onnx_plan, page(code))
    assert "\n" not in str(failed.value)


def test_a_folder_without_the_page_is_refused(onnx_plan, tmp_path):
    with pytest.raises(ProbeError, match=r"there is no .*probe.html: assemble the page"):
        probe_browser(onnx_plan, tmp_path)


def test_the_server_isolates_its_pages_and_stays_in_its_folders(tmp_path):
    (tmp_path / "page").mkdir()
    (tmp_path / "page/a.mjs").write_text("1")
    (tmp_path / "secret.txt").write_text("secret")
    with serving({"/job/": tmp_path / "job", "/": tmp_path / "page"}) as address:
        with urllib.request.urlopen(f"{address}a.mjs") as response:
            headers = response.headers
            assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
            assert headers["Content-Type"] == "text/javascript"
        for path in ("..%2fsecret.txt", "../secret.txt", "job/../secret.txt", "none", ""):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(address + path)

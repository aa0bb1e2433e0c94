"""Probing a browser: the web shell's probe page in headless Chromium."""

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from export.probe.files import parse_probe
from export.probe.job import RUNS, check_answer, seconds_allowed, stage_bundle
from export.probe.plan import Plan
from export.probe.result import FileResult, ProbeResult
from export.probe.serve import serving
from retrieval.spec.bundle import TowerFile
from retrieval.spec.errors import MissingExtraError, ProbeError
from retrieval.spec.tower import TOWERS

PAGE = "probe.html"
PROMISE = "leanclipProbe"
"""Property of ``window``: a promise of the result."""

_START_SECONDS = 30.0
_OPTIONS = ("--enable-blink-features=ForceEagerMeasureMemory",)
"""The page learns its memory at once, not at the next garbage collection."""
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def probe_browser(
    plan: Plan, site: Path, *, tell: Callable[[str], None] = lambda _: None
) -> ProbeResult:
    """Serve the web shell and the bundle, and let the probe page run in headless Chromium.

    The page times one file of each tower, so it is opened as often as a tower has files, each
    time with a bundle of two.

    Args:
        plan: Its ONNX files.
        site: Folder of the assembled web shell.
        tell: Told what is being done.

    Raises:
        MissingExtraError: Playwright is not installed.
        ProbeError: There is no such page or no browser, or the page fails.
    """
    if not (site / PAGE).is_file():
        raise ProbeError(
            f"there is no {site / PAGE}: assemble the page (cd apps/web && npm ci && node "
            "assemble.mjs), or name its folder with --app"
        )
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise MissingExtraError("Probing a browser", "browser") from error
    with sync_playwright() as playwright:
        tell("starting Chromium")
        try:
            browser = playwright.chromium.launch(executable_path=_installed(), args=_OPTIONS)
            try:
                answers = [_probe_pair(plan, pair, site, browser, tell) for pair in _pairs(plan)]
            finally:
                browser.close()
        except Error as error:
            raise ProbeError(f"the probe page failed: {_first_line(error)}") from error
    return check_answer(plan, _merged(plan, answers), "browser")


def _pairs(plan: Plan) -> list[tuple[TowerFile, ...]]:
    """The plan's files, one of each tower at a time; the shorter list ends with repetitions."""
    lists = [
        [file for file in plan.files if file.tower == tower] or [plan.bundle.file(tower, "onnx")]
        for tower in TOWERS
    ]
    longest = max(map(len, lists))
    return [tuple(files[min(index, len(files) - 1)] for files in lists) for index in range(longest)]


def _probe_pair(
    plan: Plan,
    pair: tuple[TowerFile, ...],
    site: Path,
    browser: Any,
    tell: Callable[[str], None],
) -> ProbeResult:
    tell(f"{' and '.join(file.file for file in pair)} in Chromium {browser.version}")
    query = {"bundle": "bundle/", "threads": plan.threads, "runs": RUNS}
    if plan.sustained_seconds is not None:
        query["sustained"] = plan.sustained_seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stage_bundle(plan, pair, folder)
        with serving({"/bundle/": folder, "/": site}) as address:
            address = f"{address}{PAGE}?{urlencode(query, safe='/')}"
            value = _answer(browser, address, seconds_allowed(plan))
    return parse_probe(json.dumps(value), origin="the probe page's answer")


def _merged(plan: Plan, answers: Sequence[ProbeResult]) -> ProbeResult:
    """One result with each file once."""
    wanted = {_identity(file) for file in plan.files}
    found = {
        _identity(file): file
        for answer in reversed(answers)
        for file in answer.files
        if _identity(file) in wanted
    }
    files = tuple(found[_identity(file)] for file in plan.files if _identity(file) in found)
    return answers[-1].model_copy(update={"files": files})


def _identity(file: TowerFile | FileResult) -> tuple[str, str, str, str]:
    return file.tower, file.format, file.precision, file.sha256


def _answer(browser: Any, address: str, seconds: float) -> Any:
    """What the page's promise resolves to."""
    page = browser.new_page()
    page.set_default_timeout(1e3 * seconds)
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.goto(address)
    # A module sets the promise after the page has loaded, or an error of it never does.
    try:
        page.wait_for_function(
            f"() => window.{PROMISE} !== undefined", timeout=1e3 * _START_SECONDS
        )
    except Exception as error:
        reason = failures[0] if failures else f"window.{PROMISE} is not set"
        raise ProbeError(f"the probe page failed: {reason}") from error
    script = f"""seconds => Promise.race([
        window.{PROMISE},
        new Promise((_, reject) => setTimeout(
            () => reject(new Error(`no result within ${{seconds}} seconds`)), 1000 * seconds)),
    ])"""
    return page.evaluate(script, seconds)


def _installed() -> str | None:
    """A browser of the system; None leaves the choice to Playwright, which brings its own."""
    return next((path for path in map(shutil.which, _BROWSERS) if path), None)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else type(error).__name__
    if "Executable doesn't exist" in first:
        return "there is no browser: install Chromium, or run: playwright install chromium"
    return first

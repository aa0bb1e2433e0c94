"""Probing a browser: the web shell's probe page in headless Chromium."""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from export.probe.files import parse_probe
from export.probe.job import BUNDLE, JOB, check_answer, new_run, seconds_allowed, stage_job
from export.probe.plan import Plan
from export.probe.result import ProbeResult
from export.probe.serve import serving
from retrieval.spec.errors import MissingExtraError, ProbeError

PAGE = "probe.html"
PROMISE = "leanclipProbe"
"""Property of ``window``: a promise of the result."""

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def probe_browser(
    plan: Plan, page: Path, *, tell: Callable[[str], None] = lambda _: None
) -> ProbeResult:
    """Serve the web shell and the bundle, and let the probe page run in headless Chromium.

    The page is opened as ``probe.html?job=/job/job.json&bundle=/job/bundle/``.

    Args:
        plan: Its ONNX files.
        page: Folder of the web shell.
        tell: Told what is being done.

    Raises:
        MissingExtraError: Playwright is not installed.
        ProbeError: There is no such page or no browser, or the page fails.
    """
    if not (page / PAGE).is_file():
        raise ProbeError(f"there is no {page / PAGE}: name the folder of apps/web with --app")
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise MissingExtraError("Probing a browser", "web-test") from error
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stage_job(plan, new_run(), folder)
        with serving({"/job/": folder, "/": page}) as address, sync_playwright() as playwright:
            tell("starting Chromium")
            query = urlencode({"job": f"/job/{JOB}", "bundle": f"/job/{BUNDLE}/"}, safe="/")
            try:
                browser = playwright.chromium.launch(executable_path=_installed())
                tell(f"probing {len(plan.files)} files in Chromium {browser.version}")
                value = _answer(browser, f"{address}{PAGE}?{query}", seconds_allowed(plan))
                browser.close()
            except Error as error:
                raise ProbeError(f"the probe page failed: {_first_line(error)}") from error
    result = parse_probe(json.dumps(value), origin="the probe page's answer")
    return check_answer(plan, result, "browser")


def _answer(browser: Any, address: str, seconds: float) -> Any:
    """What the page's promise resolves to."""
    page = browser.new_page()
    page.set_default_timeout(1e3 * seconds)
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.goto(address)
    # A module sets the promise after the page has loaded, or an error of it never does.
    try:
        page.wait_for_function(f"() => window.{PROMISE} !== undefined", timeout=30_000)
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

"""The assembled page, a server for it, and a real browser without a window."""

import importlib.util
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from export.verify.golden import GOLDEN, make_golden
from retrieval.encode.onnx import OnnxEncoder
from tests.fixtures.tiny_bundle import write_tiny_bundle

ROOT = Path(__file__).resolve().parents[3]
WEB = ROOT / "apps" / "web"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT = 60.0

# A search of this page must never wait for the network, so nothing but 127.0.0.1 resolves.
OPTIONS = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]


def load_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def launch() -> Iterator[Callable[..., Browser]]:
    """Start the system's Chromium, with more options than the usual ones."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail(f"none of {', '.join(BROWSERS)} is installed: apt-get install chromium")
    with sync_playwright() as playwright:
        yield lambda *options: playwright.chromium.launch(
            executable_path=found, args=[*OPTIONS, *options]
        )


@pytest.fixture(scope="session")
def chromium(launch: Callable[..., Browser]) -> Iterator[Browser]:
    browser = launch()
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def assembled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a host would serve, and two tiny bundles beside the default one."""
    if not (WEB / "node_modules" / "onnxruntime-web").is_dir():
        pytest.fail("onnxruntime-web is not installed: cd apps/web && npm ci")
    folder = tmp_path_factory.mktemp("web") / "site"
    subprocess.run(["node", str(WEB / "assemble.mjs"), str(folder)], check=True)
    for seed in (0, 1):
        write_golden(write_tiny_bundle(folder / f"tiny-{seed}", seed=seed))
    return folder


def write_golden(bundle: Path) -> Path:
    golden = make_golden(OnnxEncoder(bundle))
    (bundle / GOLDEN).write_text(golden.model_dump_json())
    return bundle


@pytest.fixture(scope="session")
def site(assembled: Path) -> Iterator[str]:
    """Address of the page, with a slash at its end."""
    server = load_module(WEB / "serve.py").make_server(assembled)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


class Tab:
    """A page of the browser and what it complained about."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def until(self, expression: str) -> None:
        """Wait for a JavaScript expression; playwright's own way needs a laxer page policy."""
        end = time.monotonic() + TIMEOUT
        while not self.page.evaluate(expression):
            if time.monotonic() > end:
                pytest.fail(f"{expression} did not come true; {self.page.inner_text('body')}")
            time.sleep(0.02)

    def open(self, address: str) -> None:
        """Open the search page and wait until it serves or says why not."""
        self.page.goto(address)
        self.settled()

    def settled(self) -> None:
        self.until(
            "document.querySelector('#model').textContent === 'No model'"
            " || document.querySelector('#model').textContent.includes('passed')"
        )
        self.until("!document.querySelector('#choose-folder').disabled || !problem.hidden")

    def index(self, folder: Path) -> str:
        """Index a folder as a browser without folder handles does; the summary."""
        return self.indexing(lambda: self.page.set_input_files("#folder-input", folder))

    def indexing(self, start: Callable[[], None]) -> str:
        self.page.evaluate("document.querySelector('#status').textContent = ''")
        start()
        self.until(
            "/added from|There are no/.test(document.querySelector('#status').textContent)"
            " && document.querySelector('#progress').hidden"
        )
        return self.page.inner_text("#status")

    def search(self, sentence: str) -> list[str]:
        """Names of the photos that a sentence finds, best first."""
        return self.changed(lambda: self.page.fill("#query", sentence))

    def changed(self, ask: Callable[[], None]) -> list[str]:
        """Names of photos after what `ask` does has been answered."""
        self.page.evaluate("document.querySelector('#status').textContent = ''")
        ask()
        self.until("document.querySelector('#status').textContent !== ''")
        return self.names()

    def names(self) -> list[str]:
        found: list[str] = self.page.evaluate(
            "Array.from(document.querySelectorAll('#results img'), (one) => one.alt)"
        )
        return found

    def close_library(self) -> None:
        if self.page.is_visible("#library"):
            self.page.click("#library-button")

    def problem(self) -> str:
        return self.page.inner_text("#problem") if self.page.is_visible("#problem") else ""


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context()
    yield context
    context.close()


@pytest.fixture
def tab(context: BrowserContext) -> Tab:
    return Tab(context.new_page())


@pytest.fixture(scope="module")
def modules(chromium: Browser, site: str) -> Iterator[Page]:
    """A page on the site that runs nothing, to call the shell's modules in."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(site + "site.json")
    yield page
    context.close()


def read_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))

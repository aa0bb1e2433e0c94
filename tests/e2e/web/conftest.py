"""The assembled page, a server for it, and a real browser without a window."""

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from export.verify.golden import make_golden
from retrieval.encode.onnx import OnnxEncoder
from retrieval.spec.bundle import GOLDEN
from tests.e2e.web.web_tab import WEB, Tab, load_module
from tests.fixtures.tiny_bundle import write_tiny_bundle

BROWSERS = ("chromium", "chromium-browser", "google-chrome")

# A search of this page must never wait for the network, so nothing but 127.0.0.1 resolves.
OPTIONS = [
    "--no-sandbox",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    # A page that asks for its memory is answered at once, not at the next garbage collection.
    "--enable-blink-features=ForceEagerMeasureMemory",
]


# Not for longer than a module: playwright keeps an event loop running, which others may need.
@pytest.fixture(scope="module")
def launch() -> Iterator[Callable[..., Browser]]:
    """Start the system's Chromium, with more options than the usual ones."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail(f"none of {', '.join(BROWSERS)} is installed: apt-get install chromium")
    with sync_playwright() as playwright:
        yield lambda *options: playwright.chromium.launch(
            executable_path=found, args=[*OPTIONS, *options]
        )


@pytest.fixture(scope="module")
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

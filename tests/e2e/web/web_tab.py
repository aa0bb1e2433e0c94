"""A page of the browser, driven as a person drives it."""

import importlib.util
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[3]
WEB = ROOT / "apps" / "web"
TIMEOUT = 60.0


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


def load_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))

"""A running server, and a tab on its page."""

import socket
import threading

import uvicorn
from playwright.sync_api import Page

from retrieval.web.app import make_app
from retrieval.web.settings import Settings

TOKEN = "a token of enough letters"


class Site:
    """A running server."""

    def __init__(self, settings: Settings) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}/"
        self.app = make_app(settings)
        self._server = uvicorn.Server(uvicorn.Config(self.app, log_config=None, ws="none"))
        self._thread = threading.Thread(target=self._server.run, args=([self.listener],))
        self._thread.start()

    def close(self) -> None:
        self.app.state.served.closing.set()
        self._server.should_exit = True
        self._thread.join()


class Visit:
    """A tab, and what went wrong in it."""

    def __init__(self, page: Page, site: Site) -> None:
        self.page = page
        self.site = site
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._heard)
        page.on("request", lambda request: self.requests.append(request.url))

    def _heard(self, message) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def open(self, path: str = "") -> None:
        self.page.goto(self.site.address + path)
        self.page.wait_for_selector("#photos [role=option]")

    def search(self, words: str) -> list[str]:
        self.page.fill("#query", words)
        self.page.wait_for_function(
            "q => new URLSearchParams(location.search).get('q') === q"
            " && document.querySelector('#photos').ariaBusy === 'false'",
            arg=words,
        )
        return self.names()

    def until(self, expression: str) -> None:
        # As a function: a bare expression would be evaluated, which the page's policy forbids.
        self.page.wait_for_function(f"() => {expression}")

    def names(self) -> list[str]:
        titles = (
            "Array.from(document.querySelectorAll('#photos [role=option]'), (one) => one.title)"
        )
        return self.page.evaluate(titles)

    def focused(self) -> str:
        return self.page.evaluate("document.activeElement.title || document.activeElement.id")

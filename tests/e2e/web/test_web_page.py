"""The page as people use it: by keyboard, with a screen reader, on a phone, without a network."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext

from tests.e2e.web.web_tab import WEB, Tab, load_module, read_json

COLOURS = ("red", "green", "blue", "yellow", "white")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos") / "Colours"
    folder.mkdir()
    for place, colour in enumerate(COLOURS * 3):
        image = Image.new("RGB", (300 + 40 * (place % 4), 240), colour)
        image.save(folder / f"{colour}_{place:02}_{'long_name_' * 4}.png")
    (folder / "broken.jpg").write_text("no photo")
    return folder


@pytest.fixture(scope="module")
def filled(chromium: Browser, site: str, folder: Path) -> Iterator[Tab]:
    """The page with a few photos indexed; its panel of folders closed."""
    context = chromium.new_context()
    tab = Tab(context.new_page())
    tab.open(f"{site}?bundle=tiny-0/")
    tab.index(folder)
    tab.close_library()
    yield tab
    context.close()


def violations(tab: Tab) -> list[str]:
    """What axe-core finds wrong, rule by rule."""
    if not tab.page.evaluate("'axe' in window"):
        tab.page.evaluate((WEB / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8"))
    found: list[str] = tab.page.evaluate(
        """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
             .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)"""
    )
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(filled: Tab, scheme: str):
    filled.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    assert violations(filled) == []
    filled.page.click("#library-button")
    filled.page.click("#about summary")
    assert violations(filled) == []
    filled.page.click("#about summary")
    filled.page.click("#library-button")
    filled.page.click("#results button >> nth=0")
    assert violations(filled) == []
    filled.page.keyboard.press("Escape")


@pytest.mark.parametrize("width", [320, 375, 768, 1600])
def test_nothing_is_wider_than_the_window(filled: Tab, width: int):
    filled.page.set_viewport_size({"width": width, "height": 720})
    for button in (None, "#library-button"):
        if button:
            filled.page.click(button)
        assert filled.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    filled.page.click("#results button >> nth=0")
    assert filled.page.evaluate("viewer.scrollWidth <= innerWidth")
    filled.page.keyboard.press("Escape")
    filled.page.click("#library-button")
    filled.page.set_viewport_size({"width": 1280, "height": 720})


def focused(tab: Tab) -> str:
    """What a screen reader would say that the focus is on."""
    name: str = tab.page.evaluate(
        """() => {
          const { activeElement: one } = document;
          return one.getAttribute("aria-label") ?? one.labels?.[0]?.textContent
            ?? one.querySelector("img[alt]:not([alt=''])")?.alt ?? one.textContent.trim();
        }"""
    )
    return name


def test_everything_can_be_done_by_keyboard(filled: Tab):
    page = filled.page
    page.reload()
    filled.settled()
    filled.until("document.querySelector('#results img') !== null")
    order = []
    for _ in range(5):
        page.keyboard.press("Tab")
        order.append(focused(filled))
    first = filled.names()[0]
    assert order == [
        "Skip to the photos", "Library", "What the photo shows", "By photo", first,
    ]  # fmt: skip
    page.keyboard.press("/")
    assert focused(filled) == "What the photo shows"
    found = filled.changed(lambda: page.keyboard.type("yellow"))
    assert all(name.startswith("yellow") for name in found[:3])
    page.keyboard.press("ArrowDown")
    assert focused(filled) == found[0]
    page.keyboard.press("ArrowRight")
    assert focused(filled) == found[1]
    page.keyboard.press("ArrowDown")
    assert focused(filled) in found[2:]
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    filled.until("document.querySelector('#viewer').open")
    page.keyboard.press("ArrowRight")
    filled.until(f"document.querySelector('#viewer-name').textContent === {found[1]!r}")
    page.keyboard.press("Escape")
    # The focus goes to the photo that was looked at last.
    filled.until(f"document.activeElement.querySelector('img')?.alt === {found[1]!r}")
    page.keyboard.press("Enter")
    filled.until("document.querySelector('#viewer').open")
    page.focus("text=More like this")
    liked = filled.changed(lambda: page.keyboard.press("Enter"))
    assert liked[0].startswith("yellow")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "what has the focus shows it"


def test_a_screen_reader_hears_what_happens(filled: Tab):
    status = filled.page.locator("[role=status]")
    filled.search("blue")
    assert status.inner_text() == "Best 15 of 15 photos"
    filled.search("")
    assert status.inner_text() == "15 photos in the library"
    assert filled.page.get_by_role("searchbox", name="What the photo shows").count() == 1
    assert filled.page.get_by_role("list", name="Photos").count() == 1


def test_no_page_error_and_no_foreign_request(filled: Tab, site: str):
    assert filled.complaints == []
    assert all(address.startswith((site, "blob:")) for address in filled.requests)


def test_a_dropped_photo_is_searched_with(filled: Tab, folder: Path):
    drop = """async () => {
      const canvas = new OffscreenCanvas(40, 40);
      const context = canvas.getContext("2d");
      context.fillStyle = "rgb(0 0 255)";
      context.fillRect(0, 0, 40, 40);
      const transfer = new DataTransfer();
      transfer.items.add(new File([await canvas.convertToBlob()], "dropped.png"));
      dispatchEvent(new DragEvent("dragover", { dataTransfer: transfer, cancelable: true }));
      dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, cancelable: true }));
    }"""
    found = filled.changed(lambda: filled.page.evaluate(drop))
    assert found[0].startswith("blue")
    assert filled.page.is_hidden("#drop")
    filled.page.set_input_files("#photo-input", folder / "broken.jpg")
    filled.until("!document.querySelector('#problem').hidden")
    assert filled.problem() == "broken.jpg is damaged, or no photo"
    filled.changed(lambda: filled.page.click("#photo-query button"))
    assert filled.problem() == ""


def test_it_works_without_a_network_after_the_first_visit(
    context: BrowserContext, assembled: Path, folder: Path
):
    server = load_module(WEB / "serve.py").make_server(assembled)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/?bundle=tiny-0/"
    tab = Tab(context.new_page())
    tab.open(address)
    tab.index(folder)
    tab.until("document.documentElement.dataset.offline === 'ready'")
    server.shutdown()
    server.server_close()
    tab.page.goto("about:blank")
    tab.open(address)
    assert tab.problem() == ""
    assert tab.page.evaluate("crossOriginIsolated")
    assert tab.search("red")[0].startswith("red")


def test_it_can_be_installed(tab: Tab, site: str, assembled: Path):
    tab.page.goto(site)
    session = tab.page.context.new_cdp_session(tab.page)
    manifest = session.send("Page.getAppManifest")
    assert manifest["errors"] == []
    assert read_json(assembled / "manifest.webmanifest")["display"] == "standalone"
    shell = read_json(assembled / "site.json")["shell"]
    served = {
        path.relative_to(assembled).as_posix()
        for path in [*assembled.glob("*.*"), *(assembled / "src").rglob("*.js")]
    }
    assert set(shell) == served - {"site.json", "sw.js"}

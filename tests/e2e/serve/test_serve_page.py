"""The search page as people use it: mouse, keyboard, finger, screen reader."""

import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.e2e.serve.serve_site import TOKEN, Site, Visit

AXE = Path(__file__).parents[3] / "apps/web/node_modules/axe-core/axe.min.js"


def violations(visit: Visit) -> list[str]:
    """What axe-core finds wrong, rule by rule."""
    # Photos that are about to be replaced are paler than the rules for text allow.
    visit.until("document.querySelector('#photos').getAttribute('aria-busy') !== 'true'")
    if not visit.page.evaluate("'axe' in window"):
        visit.page.evaluate(AXE.read_text("utf-8"))
    return visit.page.evaluate(
        """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
             .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)"""
    )


def test_results_follow_the_typing_and_the_grid_goes_on(visit: Visit):
    assert len(visit.names()) >= 60
    visit.page.keyboard.press("End")
    visit.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    visit.until("document.querySelectorAll('#photos [role=option]').length === 90")
    found = visit.search("red")
    assert all(name.startswith("red") for name in found[:18])
    assert visit.page.inner_text("#live") == "Best matches first"
    visit.search("blue")
    assert visit.names()[0].startswith("blue")
    visit.until("document.querySelectorAll('#photos img')[0].naturalWidth > 0")


def test_an_answer_that_comes_late_is_dropped(visit: Visit):
    late = []
    visit.page.route("**/photos?q=red*", lambda route: late.append(route))
    visit.page.fill("#query", "red")
    visit.page.wait_for_timeout(400)
    assert len(late) == 1
    assert visit.search("green")[0].startswith("green")
    visit.page.unroute("**/photos?q=red*")
    assert visit.names()[0].startswith("green")


def test_more_like_a_photo_and_back(visit: Visit):
    visit.search("yellow")
    first = visit.names()[0]
    visit.page.click("#photos [role=option] >> nth=0")
    visit.page.wait_for_selector("#viewer[open]")
    assert visit.page.inner_text("#viewer-name") == first
    visit.page.click("text=More like this")
    visit.page.wait_for_selector("#example:not([hidden])")
    visit.until(f"document.querySelector('#photos li').title !== {first!r}")
    assert visit.names()[0].startswith("yellow") and first not in visit.names()
    visit.page.go_back()
    visit.page.wait_for_selector("#example", state="hidden")
    visit.until(f"document.querySelector('#photos li').title === {first!r}")


def test_a_photo_can_be_chosen_or_dropped(visit: Visit, photo: Path):
    visit.page.set_input_files("#photo-input", photo)
    visit.page.wait_for_selector("#example:not([hidden])")
    visit.until("document.querySelector('#photos li').title.startsWith('blue')")
    visit.page.click("#example button")
    visit.page.wait_for_selector("#example", state="hidden")
    visit.page.evaluate(
        """async () => {
          const canvas = new OffscreenCanvas(40, 40);
          const context = canvas.getContext("2d");
          context.fillStyle = "rgb(255 0 0)";
          context.fillRect(0, 0, 40, 40);
          const transfer = new DataTransfer();
          const file = new File([await canvas.convertToBlob()], "mine.png", { type: "image/png" });
          transfer.items.add(file);
          const event = { dataTransfer: transfer, bubbles: true, cancelable: true };
          for (const type of ["dragover", "drop"]) {
            document.body.dispatchEvent(new DragEvent(type, event));
          }
        }"""
    )
    visit.until("document.querySelector('#photos li').title.startsWith('red')")
    assert visit.page.inner_text("#example") == "mine.png"


def test_filters_narrow_and_their_chips_take_them_away(visit: Visit):
    visit.page.click("#filters-button")
    visit.page.select_option("#filter-folder", label="\u2003home (30)")
    visit.until("document.querySelectorAll('#photos [role=option]').length === 30")
    assert visit.page.inner_text("#status") == "30 photos match"
    assert visit.page.inner_text("#chips") == "In home"
    visit.page.fill("#filter-until", "2001-01-01")
    visit.page.wait_for_selector("#empty:not([hidden])")
    assert "No photo fits" in visit.page.inner_text("#empty")
    visit.page.click("text=Clear all filters")
    visit.until("document.querySelectorAll('#photos [role=option]').length >= 60")
    assert visit.page.inner_text("#chips") == ""


def test_everything_can_be_done_by_keyboard(visit: Visit):
    page = visit.page
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("/")
    assert visit.focused() == "query"
    names = visit.search("green")
    page.keyboard.press("ArrowDown")
    assert visit.focused() == names[0]
    page.keyboard.press("ArrowRight")
    assert visit.focused() == names[1]
    page.keyboard.press("ArrowDown")
    assert visit.focused() in names[2:]
    page.keyboard.press("ArrowUp")
    assert visit.focused() == names[1]
    page.keyboard.press("Enter")
    page.wait_for_selector("#viewer[open]")
    page.keyboard.press("ArrowRight")
    visit.until(f"document.querySelector('#viewer-name').textContent === {names[2]!r}")
    page.keyboard.press("Escape")
    page.wait_for_selector("#viewer", state="hidden")
    # The dialog first gives the focus back to the photo it was opened from; its close event,
    # which moves it to the photo last seen, comes a task later.
    visit.until(f"document.activeElement.title === {names[2]!r}")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    assert page.inner_text("#live") == "2 photos selected"
    assert page.locator("[role=option][aria-selected=true]").count() == 2
    page.keyboard.press("Escape")
    assert page.locator("[role=option][aria-selected=true]").count() == 0
    page.keyboard.press("Escape")
    assert visit.focused() == "query"


def test_a_selection_is_downloaded_as_a_zip(visit: Visit, tmp_path: Path):
    names = visit.search("white")
    visit.page.hover("#photos [role=option] >> nth=0")
    visit.page.click("#photos .tick >> nth=0")
    visit.page.click("#photos [role=option] >> nth=2", modifiers=["Shift"])
    assert visit.page.inner_text("#selection p") == "3 selected"
    with visit.page.expect_download() as download:
        visit.page.click("#download")
    download.value.save_as(tmp_path / "photos.zip")
    saved = zipfile.ZipFile(tmp_path / "photos.zip").namelist()
    assert [name[:8] for name in saved] == [name[:8] for name in names[:3]]


def test_a_deleted_photo_shows_as_such(visit: Visit):
    name = visit.search("red")[-1]
    visit.page.route("**/thumbnails/large*", lambda route: route.fulfill(status=404))
    visit.page.click(f'[title="{name}"]')
    visit.page.wait_for_selector("text=This photo can no longer be shown")
    # Chromium itself says that an address could not be read.
    visit.complaints = [one for one in visit.complaints if "404" not in one]


def test_a_server_that_stopped_is_one_clear_line(visit: Visit):
    visit.page.route("**/photos?*", lambda route: route.abort())
    visit.page.fill("#query", "red")
    visit.page.wait_for_selector("#problem:not([hidden])")
    assert "does not answer" in visit.page.inner_text("#problem p")
    visit.page.unroute("**/photos?*")
    visit.page.click("#problem button")
    visit.page.wait_for_selector("#problem", state="hidden")
    visit.complaints.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visit: Visit, scheme: str):
    page = visit.page
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.click("#filters-button")
    page.select_option("#filter-type", "jpg")
    page.wait_for_selector("#chips button")
    assert violations(visit) == []
    page.click("#photos [role=option] >> nth=0")
    page.wait_for_selector("#viewer dd")
    assert violations(visit) == []
    page.keyboard.press("Escape")
    page.click("#library-button")
    page.wait_for_selector("#folders li")
    assert violations(visit) == []


@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_is_wider_than_a_phone(visit: Visit, width: int):
    page = visit.page
    page.set_viewport_size({"width": width, "height": 700})
    page.click("#filters-button")
    page.click("#photos .tick >> nth=0", force=True)
    fits = "document.documentElement.scrollWidth <= innerWidth"
    assert page.evaluate(fits)
    box = page.locator("#selection").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    page.click("#select-none")
    page.click("#photos [role=option] >> nth=0")
    page.wait_for_selector("#viewer dd")
    assert page.evaluate("viewer.scrollWidth <= innerWidth")


def test_the_token_in_the_address_opens_the_page_and_is_forgotten(
    chromium: Browser, locked_site: Site
):
    context = chromium.new_context()
    visit = Visit(context.new_page(), locked_site)
    visit.page.goto(locked_site.address)
    visit.page.wait_for_selector("#lock:not([hidden])")
    visit.page.fill("#token", "wrong")
    visit.page.click("#lock button")
    visit.page.wait_for_selector("text=That is not the token.")
    visit.page.goto("about:blank")
    visit.open(f"#token={TOKEN}")
    assert TOKEN not in visit.page.url
    visit.page.reload()
    visit.page.wait_for_selector("#photos [role=option]")
    assert not [one for one in visit.requests if "token=" in one.partition("#")[0]]
    context.close()

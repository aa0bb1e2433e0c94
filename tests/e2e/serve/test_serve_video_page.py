"""Videos on the search page: their moments in the grid, and played in the large view."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.encode.load import open_encoder
from retrieval.search.library import Library
from retrieval.web.settings import LibrarySettings, Settings
from tests.e2e.serve.serve_site import Site, Visit
from tests.fakes import COLOURS, save_colour
from tests.fixtures.colour_bundle import make_colour_bundle
from tests.fixtures.videos import plain, write_video

FILM = "film.webm"
VIDEO = "document.querySelector('#viewer video')"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A film that Chromium plays, one that it does not, and photos; instead of the usual shelf."""
    folder = tmp_path_factory.mktemp("cinema")
    bundle = make_colour_bundle(folder / "bundle")
    photos = folder / "photos"
    for colour in COLOURS:
        save_colour(photos / f"{colour}.jpg", colour, size=40)
    scenes = [plain(COLOURS[colour], (160, 120)) for colour in ("red", "green", "blue")]
    write_video(photos / FILM, scenes, seconds=11)
    write_video(photos / "old.avi", [plain((0, 128, 0), (160, 120))], seconds=8)
    with Library.open(folder / "home", open_encoder(bundle), source=str(bundle)) as library:
        library.ensure_index(photos)
    site = Site(Settings((LibrarySettings("photos", folder / "home", str(bundle)),)))
    yield site
    site.close()


def open_film(visit: Visit, words: str) -> None:
    visit.search(words)
    visit.page.click(f"[title='{FILM}']")
    visit.page.wait_for_selector("#viewer video:not([hidden])")
    visit.until(f"{VIDEO}.readyState >= 2 && !{VIDEO}.seeking")


def colour_of(visit: Visit, element: str) -> list[int]:
    """The middle of what an element shows."""
    return visit.page.evaluate(
        f"""async () => {{
          const shown = {element};
          const canvas = new OffscreenCanvas(3, 3);
          const context = canvas.getContext("2d");
          context.drawImage(shown, 0, 0, 3, 3);
          return Array.from(context.getImageData(1, 1, 1, 1).data).slice(0, 3);
        }}"""
    )


def assert_is(colour: list[int], name: str) -> None:
    assert all(abs(a - b) < 40 for a, b in zip(colour, COLOURS[name], strict=True)), colour


def test_a_tile_shows_the_moment_that_was_found_and_its_time(visit: Visit):
    tile = f"[title='{FILM}']"
    for colour, time in (("blue", "0:22"), ("green", "0:11")):
        visit.search(colour)
        visit.until(f'document.querySelector("{tile} .time")?.textContent === "{time} / 0:33"')
        visit.until(f'document.querySelector("{tile} img").naturalWidth > 0')
        assert_is(colour_of(visit, f'document.querySelector("{tile} img")'), colour)
        assert f"video, found at {time} of 0:33" in visit.page.get_attribute(tile, "aria-label")
    visit.page.fill("#query", "")
    visit.until(f'document.querySelector("{tile} .time").textContent === "0:33"')
    assert visit.page.locator("[title='red.jpg'] .time").count() == 0


def test_the_large_view_stands_at_the_moment_and_plays_on(visit: Visit):
    for colour, second in (("blue", 22), ("green", 11)):
        open_film(visit, colour)
        assert visit.page.evaluate(f"{VIDEO}.currentTime") == pytest.approx(second, abs=0.1)
        assert_is(colour_of(visit, VIDEO), colour)
        assert visit.page.evaluate(f"{VIDEO}.paused && {VIDEO}.controls")
        assert "moment=" in visit.page.evaluate(f"{VIDEO}.poster")
        visit.page.evaluate(f"() => {{ {VIDEO}.play(); }}")
        visit.until(f"{VIDEO}.currentTime > {second} + 0.3")
        visit.page.keyboard.press("Escape")
        visit.page.wait_for_selector("#viewer", state="hidden")
        visit.until(f"{VIDEO}.paused && !{VIDEO}.hasAttribute('src')")


def test_a_player_seeks_without_reading_the_file_from_its_beginning(visit: Visit):
    asked = []
    visit.page.on(
        "response",
        lambda answer: asked.append(answer.status) if answer.url.endswith("/file") else None,
    )
    open_film(visit, "blue")
    visit.page.evaluate(f"() => {{ {VIDEO}.currentTime = 5; }}")
    visit.until(f"!{VIDEO}.seeking && {VIDEO}.currentTime === 5")
    assert_is(colour_of(visit, VIDEO), "red")
    assert asked and set(asked) == {206}


def test_arrows_move_in_a_video_and_from_photo_to_photo(visit: Visit):
    open_film(visit, "blue")
    visit.page.focus("#viewer video")
    visit.page.keyboard.press("ArrowLeft")
    visit.until(f"{VIDEO}.currentTime < 22")
    assert visit.page.inner_text("#viewer-name") == FILM
    visit.page.focus("#viewer .close")
    step = "ArrowLeft" if visit.names()[-1] == FILM else "ArrowRight"
    visit.page.keyboard.press(step)
    visit.until(f"document.querySelector('#viewer-name').textContent !== '{FILM}'")
    assert visit.page.is_hidden("#viewer video") and visit.page.is_visible("#viewer img")


def test_a_video_that_the_browser_cannot_play_is_shown_and_saved(visit: Visit, tmp_path: Path):
    visit.search("green type:avi")
    visit.page.click("[title='old.avi']")
    visit.page.wait_for_selector("#viewer .unplayable:not([hidden])")
    assert visit.page.is_visible("#viewer img") and visit.page.is_hidden("#viewer video")
    visit.until("document.querySelector('#viewer img').naturalWidth === 160")
    with visit.page.expect_download() as download:
        visit.page.click("#viewer [data-act=download]")
    download.value.save_as(tmp_path / "saved.avi")
    assert (tmp_path / "saved.avi").read_bytes()[8:12] == b"AVI "


def test_more_like_a_moment_keeps_the_filters(visit: Visit):
    visit.page.goto(f"{visit.site.address}?type=jpg&q=blue")
    visit.page.wait_for_selector("[title='blue.jpg']")
    visit.page.click("[title='blue.jpg']")
    visit.page.click("text=More like this")
    visit.page.wait_for_selector("#example:not([hidden])")
    visit.until("!document.querySelector(\"[title='blue.jpg']\")")
    names = visit.names()
    assert len(names) == len(COLOURS) - 1 and all(name.endswith(".jpg") for name in names)

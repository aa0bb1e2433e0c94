"""Searching in the browser finds what Python finds, and keeps what it has indexed."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from export.bundle import pack_bundle
from retrieval.encode.load import open_encoder
from retrieval.encode.protocol import Encoder
from retrieval.models.checkpoint import load_checkpoint
from retrieval.vision.preprocess import load_pixels
from tests.e2e.web.web_tab import ROOT, Tab

PHOTOS = ROOT / "data" / "photos"
# TIFF is the one format among the samples that no other browser than Safari reads.
UNREADABLE = "retina.tiff"
SENTENCES = (
    "a cat",
    "two brown dogs",
    "snow on the mountains",
    "a man taking a picture with a camera",
    "caf\u00e9 &amp; \u201ccoffee\u201d \u2615",
    "a bridge at night",
)


@pytest.fixture(scope="module")
def bundle(assembled: Path) -> Path:
    """The compact model beside the default one, whose convolutions compute in float.

    Those of the default bundle compute in int8, which kernels of WASM and of this machine
    round apart.
    """
    pack_bundle(load_checkpoint(ROOT / "data" / "compact"), assembled / "compact", precision="int8")
    return assembled / "compact"


@pytest.fixture(scope="module")
def encoder(bundle: Path) -> Encoder:
    return open_encoder(str(bundle), threads=1)


@pytest.fixture(scope="module")
def python_vectors(encoder: Encoder) -> dict[str, np.ndarray]:
    names = sorted(
        path.name
        for path in PHOTOS.iterdir()
        if path.suffix not in (".md", ".jsonl") and path.name != UNREADABLE
    )
    rows = [load_pixels(PHOTOS / name, encoder.preprocessing, draft=False) for name in names]
    return dict(zip(names, encoder.encode_pixels(np.stack(rows)), strict=True))


@pytest.fixture(scope="module")
def samples(chromium: Browser, site: str, bundle: Path) -> Iterator[Tab]:
    """The page with the sample photos indexed by the bundle."""
    context = chromium.new_context()
    tab = Tab(context.new_page())
    tab.open(f"{site}?bundle={bundle.name}/")
    summary = tab.indexing(lambda: tab.page.click("#sample-photos"))
    assert summary == "55 photos added from Sample photos, 1 skipped"
    assert UNREADABLE in tab.page.locator("#skipped li").first.text_content()
    yield tab
    context.close()


def stored_vectors(tab: Tab) -> dict[str, np.ndarray]:
    """What lies in the browser's database, by path."""
    stored = tab.page.evaluate(
        """() => new Promise((resolve) => {
          indexedDB.open("leanclip").onsuccess = ({ target: { result } }) => {
            const store = result.transaction("vectors").objectStore("vectors");
            const keys = store.getAllKeys(), values = store.getAll();
            values.onsuccess = () => {
              resolve(keys.result.map((key, row) => [key, Array.from(values.result[row])]));
              result.close();
            };
          };
        })"""
    )
    return {key[2]: np.array(vector) for key, vector in stored}


def test_vectors_equal_those_of_python(samples: Tab, python_vectors: dict[str, np.ndarray]):
    stored = stored_vectors(samples)
    assert set(stored) == set(python_vectors)
    cosines = {name: float(stored[name] @ vector) for name, vector in python_vectors.items()}
    assert min(cosines.values()) >= 0.9999, min(cosines.items(), key=lambda item: item[1])


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_finds_the_same_five(
    samples: Tab, encoder: Encoder, python_vectors: dict[str, np.ndarray], sentence: str
):
    names = list(python_vectors)
    scores = np.stack(list(python_vectors.values())) @ encoder.encode_sentences([sentence])[0]
    best = [names[row] for row in np.argsort(-scores)[:5]]
    assert samples.search(sentence)[:5] == best


def test_a_photo_finds_itself_and_its_like(samples: Tab, python_vectors: dict[str, np.ndarray]):
    name = "giant_panda.jpg"
    scores = np.stack(list(python_vectors.values())) @ python_vectors[name]
    best = [list(python_vectors)[row] for row in np.argsort(-scores)[:5]]
    found = samples.changed(lambda: samples.page.set_input_files("#photo-input", PHOTOS / name))
    assert found[:5] == best
    assert samples.page.inner_text("#photo-query p") == f"Photos like {name}"
    samples.changed(lambda: samples.page.click("#photo-query button"))
    samples.search("a cat")
    samples.page.click("#results li >> nth=1 >> button")
    liked = samples.page.inner_text("#viewer-name")
    found = samples.changed(lambda: samples.page.click("text=More like this"))
    assert found[0] == liked


def test_nothing_went_wrong_and_nothing_left(samples: Tab, site: str):
    assert samples.complaints == []
    assert {address for address in samples.requests if not address.startswith((site, "blob:"))} == (
        set()
    )


def paint(folder: Path, **colours: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, colour in colours.items():
        Image.new("RGB", (40, 30), colour).save(folder / f"{name}.png")
    return folder


def test_an_index_is_kept_and_brought_up_to_date(tab: Tab, site: str, tmp_path: Path):
    folder = paint(tmp_path / "Holiday", one="red", two="blue", three="yellow")
    (folder / "letter.txt").write_text("no photo")
    tab.open(f"{site}?bundle=tiny-0/")
    assert tab.index(folder) == "3 photos added from Holiday"
    assert tab.search("red")[0] == "one.png"
    tab.page.reload()
    tab.settled()
    assert tab.search("blue")[0] == "two.png"
    (folder / "two.png").unlink()
    paint(folder, three="white", four="green")
    os.utime(folder / "three.png", (2e9, 2e9))
    assert tab.index(folder) == "2 photos added from Holiday, 1 unchanged"
    assert sorted(tab.search("green")) == ["four.png", "one.png", "three.png"]
    assert tab.search("green")[0] == "four.png"


def test_vectors_of_two_models_never_meet(tab: Tab, site: str, tmp_path: Path):
    tab.open(f"{site}?bundle=tiny-0/")
    tab.index(paint(tmp_path / "First", one="red", two="blue"))
    tab.open(f"{site}?bundle=tiny-1/")
    assert tab.page.is_disabled("#query"), "nothing is indexed with this model"
    tab.index(paint(tmp_path / "Second", three="yellow"))
    assert tab.search("red") == ["three.png"]
    tab.open(f"{site}?bundle=tiny-0/bundle.json")
    assert tab.search("red") == ["one.png", "two.png"]


def test_a_stopped_run_goes_on_where_it_was(tab: Tab, site: str, tmp_path: Path):
    folder = tmp_path / "Many"
    folder.mkdir()
    for number in range(120):
        Image.new("RGB", (900, 700), (number, 90, 200)).save(folder / f"{number:03}.jpg")
    tab.open(f"{site}?bundle=tiny-0/")
    tab.page.set_input_files("#folder-input", folder)
    tab.until("document.querySelector('#progress-bar').value > 3")
    stopped = tab.indexing(lambda: tab.page.click("#stop"))
    assert stopped.endswith("Stopped: choose it again to go on")
    added = int(stopped.split()[0])
    assert 0 < added < 120
    assert tab.index(folder) == f"{120 - added} photos added from Many, {added} unchanged"


def test_a_photo_that_cannot_be_read_is_skipped_and_listed(
    tab: Tab, site: str, tmp_path: Path, awkward_photos: dict[str, Path]
):
    folder = tmp_path / "Awkward"
    shutil.copytree(awkward_photos["text"].parent, folder)
    tab.open(f"{site}?bundle=tiny-0/")
    tab.index(folder)
    skipped = dict(
        line.split(" ", 1) for line in tab.page.locator("#skipped li").all_text_contents()
    )
    assert skipped == {
        "bomb.png": "is damaged, or no photo",
        "photo.tiff": "is TIFF, which this browser cannot read, or damaged",
        "sixteen_bit.tif": "is TIF, which this browser cannot read, or damaged",
        "text.jpg": "is damaged, or no photo",
        "truncated.jpg": "is damaged, or no photo",
        "zero_byte.jpg": "is empty (0 bytes)",
    }
    assert tab.complaints == []


def test_a_folder_can_be_removed(tab: Tab, site: str, tmp_path: Path):
    tab.open(f"{site}?bundle=tiny-0/")
    tab.index(paint(tmp_path / "Old", one="red"))
    tab.page.click("#library-button")
    tab.page.click("role=button[name='Remove Old from the library']")
    tab.until("document.querySelector('#query').disabled")
    assert stored_vectors(tab) == {}


def test_a_float_bundle_runs_on_webgpu_where_there_is_one(
    launch: Callable[..., Browser], site: str, tmp_path: Path
):
    # A graphics processor in software, which Chromium brings.
    browser = launch(
        "--enable-unsafe-webgpu",
        "--use-webgpu-adapter=swiftshader",
        "--enable-features=Vulkan",
        "--use-vulkan=swiftshader",
    )
    tab = Tab(browser.new_page())
    tab.open(f"{site}?bundle=tiny-0/")
    assert tab.problem() == ""
    assert "WebGPU" in (tab.page.text_content("#model-details") or "")
    tab.index(paint(tmp_path / "Colours", one="red", two="blue", three="yellow"))
    assert tab.search("blue")[0] == "two.png"
    # The default bundle is int8, which is made for the processor.
    tab.open(site)
    assert "WebGPU" not in (tab.page.text_content("#model-details") or "")
    browser.close()

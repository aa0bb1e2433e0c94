"""A bundle that is not what it claims is refused, with one clear line."""

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from retrieval.spec.bundle import GOLDEN, MANIFEST
from tests.e2e.web.web_tab import ROOT, Tab, read_json
from tests.golden import change_golden, flip_byte

COPIES = itertools.count()


@pytest.fixture(scope="module")
def tab(chromium: Browser) -> Iterator[Tab]:
    """One for all, since nothing is stored by a page that refuses."""
    context = chromium.new_context()
    yield Tab(context.new_page())
    context.close()


@pytest.fixture
def copy(assembled: Path) -> Path:
    """A tiny bundle on the site, at an address that no browser has seen before."""
    folder = assembled / f"copy-{next(COPIES)}"
    return Path(shutil.copytree(assembled / "tiny-0", folder))


def change(path: Path, edit: Callable[[Any], None]) -> None:
    value = read_json(path)
    edit(value)
    path.write_text(json.dumps(value))


def refused(tab: Tab, site: str, bundle: str) -> str:
    """The line that the page says; nothing may be searchable."""
    tab.open(f"{site}?bundle={bundle}")
    assert tab.page.is_disabled("#query")
    assert tab.page.is_disabled("#sample-photos")
    line = tab.problem()
    assert "\n" not in line
    return line


@pytest.mark.parametrize("name", ["onnx/image.onnx", "onnx/text.onnx", "merges.txt"])
def test_one_changed_byte(tab: Tab, site: str, copy: Path, name: str):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    assert refused(tab, site, copy.name) == (
        f"{copy.name}/{name} is damaged: its SHA-256 is not the one in bundle.json; "
        "export or copy the bundle again"
    )


def test_a_changed_golden_file(tab: Tab, site: str, copy: Path):
    change_golden(copy, lambda golden: golden)
    flip_byte(copy / GOLDEN)
    assert refused(tab, site, copy.name) == (
        f"{copy.name}/golden.json is damaged: its SHA-256 is not the one in bundle.json; "
        "export or copy the bundle again"
    )


def test_a_missing_file(tab: Tab, site: str, copy: Path):
    (copy / "onnx" / "text.onnx").unlink()
    line = refused(tab, site, copy.name)
    assert line.endswith("onnx/text.onnx is missing (404); export or copy the bundle again")


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda it: it.update(format=2), "has format 2, this page reads up to 1"),
        (lambda it: it["text"].update(cleaning="other"), 'text.cleaning is "other"'),
        (lambda it: it["text"].update(kind="sentencepiece", start_id=None),
         "by sentencepiece, and this page knows only byte pairs (bpe)"),
        (lambda it: it["preprocessing"].update(antialias=False), "antialias is false"),
        (lambda it: it.pop("fingerprint"), "fingerprint is missing"),
        (lambda it: it.update(embedding_dim=9), "of 8 numbers, the bundle promises 9"),
        (lambda it: it["files"].pop(), "has no ONNX file of its text tower"),
        (lambda it: it["files"][0].update(file="../tiny-0/onnx/image.onnx"), "outside the bundle"),
        (lambda it: it["text"].update(end_id=1), "which is not what bundle.json says"),
    ],
)  # fmt: skip
def test_a_manifest_that_asks_for_what_it_must_not(
    tab: Tab, site: str, copy: Path, edit: Callable[[Any], None], says: str
):
    change(copy / MANIFEST, edit)
    assert says in refused(tab, site, copy.name)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda it: it["sentences"][0]["embedding"].reverse(), 'sentence "a photo of a dog": cos'),
        (lambda it: it["sentences"][1]["ids"].reverse(), "other token ids"),
        (lambda it: it["photos"][2]["grid"].reverse(), "photo turned-right: pixels differ by"),
        (lambda it: it["pattern"]["embedding"].reverse(), "the pattern: cosine"),
        (lambda it: it.update(format=2), "is malformed; export the bundle again"),
    ],
)
def test_a_golden_test_that_fails(
    tab: Tab, site: str, copy: Path, edit: Callable[[Any], None], says: str
):
    change(copy / GOLDEN, edit)
    assert says in refused(tab, site, copy.name)


def test_a_bundle_on_another_site(tab: Tab, site: str):
    assert "is not on this site" in refused(tab, site, "https://example.org/bundle/")
    assert all(address.startswith((site, "blob:")) for address in tab.requests)


def test_a_bundle_from_a_folder_replaces_the_one_that_serves(tab: Tab, site: str, copy: Path):
    tab.open(f"{site}?bundle=tiny-1/")
    tab.page.set_input_files("#bundle-input", copy)
    tab.until("document.querySelector('#model').textContent === 'colours-0, self-test passed'")
    tab.page.set_input_files("#bundle-input", ROOT / "data" / "recipes")
    tab.until("!document.querySelector('#problem').hidden")
    assert tab.problem() == "The folder is not a bundle: there is no bundle.json in it"
    tab.settled()
    assert tab.page.inner_text("#model") == "colours-0, self-test passed"

"""The sample photos are real, varied, captioned and free to pass on."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image, ImageStat

PHOTOS = Path(__file__).parents[2] / "data" / "photos"
FREE = re.compile(r"CC0-1\.0|public domain|CC-BY(-SA)?-[1-4]\.\d")
NOT_PHOTOS = {"LICENCES.md", "pairs.jsonl"}


def files() -> list[Path]:
    return sorted(path for path in PHOTOS.iterdir() if path.name not in NOT_PHOTOS)


@pytest.fixture(scope="module")
def table() -> dict[str, list[str]]:
    rows = {}
    for line in (PHOTOS / "LICENCES.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 6 and re.search(r"\.\w+$", cells[0]):
            rows[cells[0]] = cells
    return rows


@pytest.fixture(scope="module")
def pairs() -> dict[str, list[str]]:
    lines = (PHOTOS / "pairs.jsonl").read_text("utf-8").splitlines()
    return {pair["image"]: pair["captions"] for pair in map(json.loads, lines)}


def test_every_photo_is_in_the_table_and_in_the_pairs(
    table: dict[str, list[str]], pairs: dict[str, list[str]]
) -> None:
    names = {path.name for path in files()}
    assert len(names) >= 45
    assert set(table) == names
    assert set(pairs) == names
    assert sum(path.stat().st_size for path in files()) < 10_000_000


def test_every_licence_allows_passing_on(table: dict[str, list[str]]) -> None:
    for name, (_, subject, author, source, licence, changes) in table.items():
        match = re.fullmatch(r"\[(.+)\]\((https://creativecommons\.org/.+)\)", licence)
        assert match, name
        assert FREE.fullmatch(match[1]), (name, match[1])
        assert subject and source and changes, name
        # Attribution is a condition of these licences, so an author must be named.
        assert author != "not named by the source" or match[1] in {"CC0-1.0", "public domain"}


def test_captions_are_distinct_sentences(pairs: dict[str, list[str]]) -> None:
    for name, captions in pairs.items():
        assert len(set(captions)) >= 2, name
        assert all(caption[0].isupper() and caption.endswith(".") for caption in captions), name
    every = [caption.lower() for captions in pairs.values() for caption in captions]
    assert len(set(every)) == len(every)


def test_every_photo_opens_and_shows_something() -> None:
    for path in files():
        with Image.open(path) as photo:
            photo.load()
            assert min(photo.size) >= 200, path.name
            assert max(ImageStat.Stat(photo).stddev) > 3, path.name


def test_formats_and_modes_are_varied() -> None:
    formats: Counter[str] = Counter()
    modes = set()
    turned = portrait = wide = 0
    for path in files():
        with Image.open(path) as photo:
            formats[str(photo.format)] += 1
            modes.add((str(photo.format), photo.mode))
            turned += photo.getexif().get(0x0112) == 6
            portrait += photo.height > photo.width
            wide += photo.width > 2.5 * photo.height
    assert formats["JPEG"] >= 30
    assert formats["PNG"] >= 3
    assert {"WEBP", "TIFF", "GIF", "BMP", "AVIF"} <= set(formats)
    assert {
        ("JPEG", "CMYK"),
        ("JPEG", "L"),
        ("PNG", "P"),
        ("PNG", "I;16"),
        ("PNG", "RGBA"),
    } <= modes
    assert turned == 1
    assert portrait >= 2
    assert wide >= 1

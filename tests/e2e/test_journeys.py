"""What a newcomer does first, with the real default model on the real sample photos."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from export.verify.golden_check import check_golden
from retrieval.encode.load import open_encoder
from retrieval.hub.names import default_bundle

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = ROOT / "data" / "photos"
LARGEST_BUNDLE = 15_000_000


def leanclip(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "retrieval.cli", *arguments, "--home", str(home)],
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    report = json.loads(leanclip("index", str(PHOTOS), "--json", home=folder).stdout)
    assert report["skipped"] == []
    return folder


def test_default_bundle_is_whole_and_small():
    folder = default_bundle()
    assert check_golden(open_encoder("default"), folder).failures == ()
    assert sum(file.stat().st_size for file in folder.rglob("*.onnx")) <= LARGEST_BUNDLE
    assert (folder / "README.md").is_file()


@pytest.mark.parametrize(
    ("sentence", "photo"),
    [
        ("a cat", "tabby_cat.bmp"),
        ("two brown dogs", "dogs_at_window.jpg"),
        ("snow on the mountains", "mountain_path.jpg"),
        ("a man taking a picture with a camera", "man_with_camera.jpg"),
    ],
)
def test_a_sentence_finds_its_photo(home: Path, sentence: str, photo: str):
    found = json.loads(leanclip("search", sentence, "--top", "3", "--json", home=home).stdout)
    assert photo in {Path(hit["path"]).name for hit in found["results"]}


def test_a_photo_finds_itself_first(home: Path):
    photo = PHOTOS / "giant_panda.jpg"
    found = json.loads(leanclip("search", str(photo), "--json", home=home).stdout)
    assert Path(found["results"][0]["path"]).name == photo.name


def test_default_model_on_the_captions_of_the_sample_photos():
    result = subprocess.run(
        [sys.executable, "-m", "retrieval.cli", "evaluate", "default",
         str(PHOTOS / "pairs.jsonl"), "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(result.stdout)
    chance = 10 / found["photos"]
    assert found["text_to_image"]["recall@10"] > 2 * chance
    assert found["image_to_text"]["recall@10"] > 2 * chance

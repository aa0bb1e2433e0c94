import json

import numpy as np
import pytest
from PIL import Image

from export.quantize import calibration
from export.quantize.calibration import load_calibration
from retrieval.spec.errors import CorpusError
from retrieval.spec.preprocessing import Preprocessing
from tests.tiny import CONTEXT, tiny_tokenizer

SPEC = Preprocessing(size=16)


def load(source, sentences=None, **options):
    return load_calibration(
        source, sentences, preprocessing=SPEC, tokenizer=tiny_tokenizer(), **options
    )


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(12):
        Image.new("RGB", (20, 30), (20 * number, 0, 255)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def pairs(photos, tmp_path):
    path = tmp_path / "pairs.jsonl"
    lines = [
        {"image": f"photos/{number}.png", "captions": [f"photo {number}", "a colour"]}
        for number in range(6)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_seed_chooses_the_photos(photos):
    first, again, other = load(photos, photos=5), load(photos, photos=5), load(photos, seed=1)
    assert first.pixels.shape == (5, 3, 16, 16)
    assert first.pixels.dtype == np.uint8
    assert first.tokens is None
    assert (first.pixels == again.pixels).all()
    assert (other.pixels[:5] != first.pixels).any()
    assert len(np.unique(first.pixels[:, 0, 0, 0])) == 5, "no photo twice"


def test_captioned_photos_calibrate_both_towers(pairs):
    found = load(pairs)
    assert found.of("image").shape == (6, 3, 16, 16)
    assert found.of("text").shape == (12, CONTEXT)
    assert found.of("text").dtype == np.int32


def test_sentences_of_a_file_go_before_captions(pairs, tmp_path, monkeypatch):
    sentences = tmp_path / "sentences.txt"
    sentences.write_text("one\ntwo\nthree\n")
    assert len(load(pairs, sentences).tokens) == 3
    assert load(None, sentences).pixels is None
    monkeypatch.setattr(calibration, "SENTENCES", 2)
    assert len(load(None, sentences).tokens) == 2


def test_a_damaged_photo_is_left_out_and_told(photos):
    (photos / "0.png").write_bytes(b"not a photo")
    found = load(photos)
    assert len(found.pixels) == 11
    assert len(found.unreadable) == 1
    assert "0.png" in found.unreadable[0]


def test_what_cannot_calibrate_is_one_line(photos, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("no photo")
    for path in photos.iterdir():
        path.write_bytes(b"not a photo")
    cases = [
        ((empty, None), "empty: no photos in this folder"),
        ((tmp_path / "none", None), "none: no such folder of photos"),
        ((tmp_path / "none.jsonl", None), "none.jsonl: no such file"),
        ((None, tmp_path / "none.txt"), "none.txt: no such file"),
        ((photos, None), "none of 12 photos can be decoded"),
    ]
    for (source, sentences), message in cases:
        with pytest.raises(CorpusError, match=message) as error:
            load(source, sentences)
        assert "\n" not in str(error.value)

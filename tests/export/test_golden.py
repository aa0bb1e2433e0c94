import base64
import io
import json
import shutil

import numpy as np
import pytest
from PIL import ExifTags, Image

from export.verify.golden import field_means, golden_pixels, read_golden
from export.verify.golden_check import check_golden
from export.verify.golden_inputs import PATTERN, pattern
from retrieval.encode.onnx import OnnxEncoder
from retrieval.encode.torch import TorchEncoder
from retrieval.models.checkpoint import load_checkpoint
from retrieval.spec.bundle import GOLDEN, MANIFEST
from retrieval.spec.errors import BundleError
from retrieval.spec.files import sha256_file
from retrieval.spec.preprocessing import Preprocessing
from tests.golden import change_golden, flip_byte


@pytest.fixture(scope="module")
def golden(exported):
    return read_golden(exported)


@pytest.fixture
def encoder(exported):
    return OnnxEncoder(exported)


def test_photos_are_small_not_square_and_some_are_turned(golden):
    files = [base64.b64decode(photo.jpeg) for photo in golden.photos]
    assert sum(map(len, files)) <= 20_000
    images = [Image.open(io.BytesIO(file)) for file in files]
    assert all(width != height for width, height in (image.size for image in images))
    turns = {image.getexif().get(ExifTags.Base.Orientation) for image in images}
    assert turns >= {1, 6, 8}


def test_sentences_are_awkward(golden):
    texts = [sentence.text for sentence in golden.sentences]
    assert {"", "pavement"} <= set(texts)
    assert any("&amp;" in text for text in texts)
    assert any("   " in text for text in texts)
    assert any(ord(character) > 0x1F000 for text in texts for character in text), "emoji"
    context = len(golden.sentences[0].ids)
    assert any(0 not in sentence.ids[:context] for sentence in golden.sentences), "over-long"


def test_pattern_is_what_its_formula_says():
    pixels = pattern(9)
    for channel, row, column in ((0, 0, 0), (1, 3, 8), (2, 8, 5)):
        value = eval(PATTERN, {"row": row, "column": column, "channel": channel})
        assert pixels[channel, row, column] == value


def test_both_back_ends_pass(exported, encoder):
    checkpoint = load_checkpoint(exported.with_name("bundle.checkpoint"))
    for candidate in (encoder, TorchEncoder(checkpoint)):
        report = check_golden(candidate, exported)
        assert report.failures == ()
        assert set(report.min_cosine) == {"image", "text"}
        assert min(report.min_cosine.values()) > 0.9999


def test_wrong_turn_and_wrong_crop_show_in_the_fields(golden):
    files = [base64.b64decode(photo.jpeg) for photo in golden.photos]
    for wrong in ({"exif_orientation": "ignore"}, {"resize_mode": "squash"}):
        pixels = golden_pixels(files, Preprocessing(size=32, **wrong))
        differences = [
            np.abs(field_means(picture) - np.array(photo.grid)).max()
            for picture, photo in zip(pixels[:-1], golden.photos, strict=True)
        ]
        assert max(differences) > 3 * golden.grid_tolerance


class Broken:
    """An encoder with one fault."""

    def __init__(self, encoder, **faults):
        self._encoder = encoder
        self.__dict__.update(faults)

    def __getattr__(self, name):
        return getattr(self._encoder, name)


def test_faults_are_found(exported, encoder):
    def failures(**faults):
        return check_golden(Broken(encoder, **faults), exported).failures

    turned = encoder.preprocessing.model_copy(update={"exif_orientation": "ignore"})
    assert any(
        "photo turned-left: pixels differ" in line for line in failures(preprocessing=turned)
    )
    swapped = failures(encode_pixels=lambda pixels: encoder.encode_pixels(pixels[:, ::-1].copy()))
    assert any(line.startswith("the pattern: cosine") for line in swapped)
    unnormalised = failures(encode_sentences=lambda texts: 2 * encoder.encode_sentences(texts))
    assert len(unnormalised) == len(read_golden(exported).sentences)
    broken = failures(encode_pixels=lambda pixels: encoder.encode_pixels(pixels) * np.nan)
    assert any("the pattern" in line for line in broken)
    longer = failures(tokenizer=encoder.tokenizer.with_context(20))
    assert any("other token ids" in line for line in longer)


def test_damaged_golden_file_is_one_line(exported, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(exported, folder)
    change_golden(folder, lambda golden: golden.pop("photos"))
    with pytest.raises(BundleError, match="golden.json is malformed"):
        read_golden(folder)
    flip_byte(folder / GOLDEN)
    with pytest.raises(BundleError, match="golden.json is damaged: its SHA-256"):
        read_golden(folder)
    (folder / GOLDEN).unlink()
    with pytest.raises(BundleError, match="golden.json is missing"):
        read_golden(folder)


def test_a_manifest_from_before_the_golden_files_hash_is_read(exported, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(exported, folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest.pop("golden_sha256") == sha256_file(folder / GOLDEN)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert read_golden(folder) == read_golden(exported)

import json
import shutil
import subprocess
import sys
import threading

import numpy as np
import onnx
import pytest

from retrieval.encode import onnx as back_end
from retrieval.encode.onnx import ACTIVATIONS, DYNAMIC, OnnxEncoder, as_input
from retrieval.encode.torch import TorchEncoder
from retrieval.spec.bundle import MANIFEST
from retrieval.spec.errors import BundleError
from retrieval.spec.files import sha256_file
from retrieval.spec.preprocessing import Preprocessing
from tests.tiny import DIM, SIZE

SENTENCES = ["a dog", "", "two cats on a mat", "café &amp; snow", "pavement"]


@pytest.fixture
def copy(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "copy")


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (5, 3, SIZE, SIZE), dtype=np.uint8)


def edit_manifest(folder, change):
    manifest = folder / MANIFEST
    value = json.loads(manifest.read_text())
    change(value)
    manifest.write_text(json.dumps(value))


def replace_tower(folder, tower, data):
    path = folder / "onnx" / f"{tower}-fp16.onnx"
    path.write_bytes(data)

    def change(value):
        for file in value["files"]:
            if file["tower"] == tower:
                file["sha256"] = sha256_file(path)

    edit_manifest(folder, change)


def test_equals_pytorch(tiny, pixels):
    encoder = OnnxEncoder(tiny, threads=1)
    truth = TorchEncoder(tiny.with_name("bundle.checkpoint"))
    assert (encoder.name, encoder.fingerprint, encoder.dim) == (
        truth.name, truth.fingerprint, truth.dim,
    )  # fmt: skip
    for found, expected in (
        (encoder.encode_pixels(pixels), truth.encode_pixels(pixels)),
        (encoder.encode_sentences(SENTENCES), truth.encode_sentences(SENTENCES)),
    ):
        assert found.dtype == np.float32
        assert found.shape == (5, DIM)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(found, expected, atol=2e-3)  # fp16 weights


def test_batches_are_split_and_may_be_empty(tiny, pixels, monkeypatch):
    whole = OnnxEncoder(tiny).encode_pixels(pixels)
    monkeypatch.setattr(back_end, "MAX_BATCH", 2)
    encoder = OnnxEncoder(tiny)
    np.testing.assert_allclose(encoder.encode_pixels(pixels), whole, atol=1e-6)
    for empty in (encoder.encode_pixels(pixels[:0]), encoder.encode_sentences([])):
        assert (empty.shape, empty.dtype) == ((0, DIM), np.float32)


def test_towers_load_when_they_are_needed(tiny, copy, pixels):
    (copy / "onnx" / "image-fp16.onnx").unlink()
    encoder = OnnxEncoder(copy)
    np.testing.assert_array_equal(
        encoder.encode_sentences(SENTENCES), OnnxEncoder(tiny).encode_sentences(SENTENCES)
    )
    with pytest.raises(BundleError, match=r"image-fp16\.onnx is missing"):
        encoder.encode_pixels(pixels)


def test_threads_may_share_an_encoder(tiny, monkeypatch):
    encoder = OnnxEncoder(tiny)
    loads = []
    load = encoder._load
    monkeypatch.setattr(encoder, "_load", lambda tower: loads.append(tower) or load(tower))
    found = []
    workers = [
        threading.Thread(target=lambda: found.append(encoder.encode_sentences(SENTENCES)))
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert loads == ["text"]
    assert len(found) == 4
    assert all((vectors == found[0]).all() for vectors in found)


def test_dynamic_towers_run_row_by_row(tiny, copy):
    path = copy / "onnx" / "text-fp16.onnx"
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {ACTIVATIONS: DYNAMIC})
    replace_tower(copy, "text", model.SerializeToString())
    encoder = OnnxEncoder(copy)
    batches = []
    encoder.encode_sentences(["warm up"])
    session = encoder._towers["text"]._session
    run = session.run

    class Recorder:
        def run(self, outputs, inputs):
            batches.append(len(inputs["tokens"]))
            return run(outputs, inputs)

    encoder._towers["text"]._session = Recorder()
    assert encoder.encode_sentences(SENTENCES).shape == (5, DIM)
    assert batches == [1] * 5


@pytest.mark.parametrize("name", ["onnx/text-fp16.onnx", "merges.txt"])
def test_one_changed_byte_is_refused(copy, name):
    path = copy / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match=f"{path.name} is damaged"):
        OnnxEncoder(copy).encode_sentences(["a dog"])


def test_a_file_outside_the_bundle_is_refused(copy, tmp_path):
    outside = tmp_path / "outside.onnx"
    shutil.copy(copy / "onnx" / "text-fp16.onnx", outside)

    def change(value):
        for file in value["files"]:
            file["file"] = "../outside.onnx"
            file["sha256"] = sha256_file(outside)

    edit_manifest(copy, change)
    with pytest.raises(BundleError, match="outside the bundle"):
        OnnxEncoder(copy).encode_sentences(["a dog"])


def test_newer_format_says_what_to_do(copy):
    edit_manifest(copy, lambda value: value.update(format=2, surprise=True))
    with pytest.raises(BundleError, match="format 2.*pip install --upgrade"):
        OnnxEncoder(copy)


def test_unknown_tower_and_missing_tower_are_named(copy):
    edit_manifest(copy, lambda value: value["files"][0].update(tower="audio"))
    with pytest.raises(BundleError, match=r"files\.0\.tower"):
        OnnxEncoder(copy)
    edit_manifest(copy, lambda value: value["files"][0].update(tower="text"))
    with pytest.raises(BundleError, match="no onnx file of its image tower"):
        OnnxEncoder(copy).encode_pixels(np.zeros((1, 3, SIZE, SIZE), np.uint8))


def test_a_file_that_is_not_onnx_is_one_line(copy):
    replace_tower(copy, "text", b"not a model")
    with pytest.raises(BundleError, match=r"text-fp16\.onnx cannot be loaded") as error:
        OnnxEncoder(copy).encode_sentences(["a dog"])
    assert "\n" not in str(error.value)


def test_vectors_of_another_size_are_refused(copy):
    edit_manifest(copy, lambda value: value.update(embedding_dim=DIM + 1))
    with pytest.raises(BundleError, match=f"{DIM} numbers, the bundle promises {DIM + 1}"):
        OnnxEncoder(copy).encode_sentences(["a dog"])


def test_input_follows_the_spec(pixels):
    spec = Preprocessing(size=SIZE, channel_order="BGR", layout="NHWC", pixel_type="float32")
    found = as_input(pixels, spec)
    assert (found.shape, found.dtype) == ((5, SIZE, SIZE, 3), np.float32)
    assert (found[1, 2, 3] == pixels[1, ::-1, 2, 3]).all()
    assert as_input(pixels, Preprocessing(size=SIZE)).dtype == np.uint8


def test_torch_is_not_loaded(tiny):
    code = (
        "import sys; from retrieval.encode.load import open_encoder\n"
        f"encoder = open_encoder({str(tiny)!r}, threads=1)\n"
        "encoder.encode_sentences(['a dog'])\n"
        "print(sorted({'torch', 'onnx', 'timm', 'export'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"

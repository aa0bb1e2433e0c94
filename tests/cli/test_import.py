"""``leanclip import``, from a tiny model of transformers to a bundle that searches."""

import json

import numpy as np
import pytest
from PIL import Image

from retrieval.encode.load import open_encoder
from retrieval.language import pieces
from retrieval.spec.errors import MissingExtraError
from tests.hugging_face import clip_folder, siglip_folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders of transformers, and captioned photos. Do not change them."""
    place = tmp_path_factory.mktemp("stock")
    clip_folder(place / "clip")
    siglip_folder(place / "siglip")
    random = np.random.default_rng(0)
    lines = []
    for number in range(6):
        colour = random.integers(0, 256, 3)
        noise = random.integers(-20, 20, (40, 60, 3))
        Image.fromarray((colour + noise).clip(0, 255).astype(np.uint8)).save(
            place / f"{number}.png"
        )
        lines.append({"image": f"{number}.png", "captions": [f"photo {number} of two dogs"]})
    (place / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return place


def test_a_folder_of_transformers_becomes_a_bundle_that_searches(
    leanclip, folders, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    status, output, _ = leanclip(
        "import", f"hf:{folders / 'clip'}", "--precision", "int8", "--licence", "MIT", "--json"
    )
    assert status == 0
    summary = json.loads(output)
    assert summary["bundle"] == "clip.bundle"
    assert {file["precision"] for file in summary["files"]} == {"int8"}
    status, output, _ = leanclip(
        "search", "two dogs", folders, "--model", "clip.bundle", "--home", tmp_path / "home"
    )
    assert status == 0
    assert len(output.splitlines()) == 6
    assert json.loads((tmp_path / "clip.bundle" / "bundle.json").read_text())["licence"] == "MIT"


def test_quantised_and_judged_by_recall(leanclip, folders, tmp_path):
    bundle = tmp_path / "siglip.bundle"
    status, output, _ = leanclip(
        "import", f"hf:{folders / 'siglip'}", bundle, "--quantize", "--to", "onnx",
        "--data", folders / "pairs.jsonl", "--json",
    )  # fmt: skip
    assert status == 0
    summary = json.loads(output)
    assert len(summary["files"]) == 2
    (recall,) = summary["recall"]
    kept = {file["tower"]: file["precision"] for file in summary["files"]}
    assert (recall["image"], recall["text"]) == (kept["image"], kept["text"])
    assert recall["recall"]["text_to_image"]["recall@10"] == 1.0
    assert open_encoder(bundle).encode_sentences(["two dogs"]).shape == (1, 32)


def test_searching_with_siglip_needs_an_extra(leanclip, folders, tmp_path, monkeypatch):
    bundle = tmp_path / "siglip.bundle"
    assert leanclip("import", f"hf:{folders / 'siglip'}", bundle, "--precision", "fp16")[0] == 0

    def missing(model, name):
        raise MissingExtraError("this model's tokenizer", pieces.EXTRA)

    monkeypatch.setattr(pieces, "_processor", missing)
    status, output, complaint = leanclip(
        "search", "two dogs", folders, "--model", bundle, "--home", tmp_path / "home"
    )
    assert status == 1
    assert output == ""
    assert "pip install 'leanclip[sentencepiece]'" in complaint
    assert "Traceback" not in complaint


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mobilenet"], "cannot import 'mobilenet': name it open_clip:"),
        (["hf:"], "cannot import 'hf:'"),
        (["keras:clip"], "cannot import 'keras:clip'"),
        (["hf:no-such-folder"], "there is no folder no-such-folder"),
        (["hf:CLIP"], "CLIP is of the architecture blip; only clip and siglip"),
        (["open_clip:ViT-B-33/openai"], "no model 'ViT-B-33'; close names: ViT-B-32"),
        (["timm:mobilenetv4_conv_small"], "has no text tower"),
        (["hf:CLIP", "--quantize", "--precision", "int8"], "leave --precision out"),
        (["hf:CLIP", "--data", "pairs.jsonl"], "--data goes with --quantize"),
        (["hf:CLIP", "--to", "tensorrt"], "cannot export to 'tensorrt'"),
        (["hf:CLIP", "--quantize", "--data", "gone.jsonl"], "gone.jsonl"),
    ],
)
def test_what_cannot_be_imported_is_one_line(leanclip, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "CLIP").mkdir()
    (tmp_path / "CLIP" / "config.json").write_text('{"model_type": "blip"}')
    status, output, complaint = leanclip("import", *arguments)
    assert status == 1
    assert output == ""
    assert message in complaint
    assert len(complaint.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["CLIP"]


def test_help_teaches_with_examples(leanclip):
    status, output, _ = leanclip("import", "--help")
    assert status == 0
    for example in ("open_clip:ViT-B-32/", "hf:google/siglip", "timm:fastvit", "--quantize"):
        assert example in output

import json
from pathlib import Path

import pytest

from retrieval.models.checkpoint import load_checkpoint, save_checkpoint
from tests.fakes import save_colour
from tests.tiny import tiny_model, tiny_tokenizer

BLOCKS = {"width": 32, "head_dim": 8, "layers": 2, "heads": 4, "neurons": 128}
VIT = {"kind": "vit", "patch": 16, "blocks": BLOCKS}
DEV = {"text_to_image": {"recall@10": 0.75}, "image_to_text": {"recall@10": 0.5}}
ELASTIC = {
    "nesting": {
        "granularity": ["head", "neuron"],
        "tiers": [0.5],
        "layers": {"image": [0, 1], "text": [0, 1]},
    },
    "tiers": [
        {"width": 1.0, "depth": 1.0, "dev": {}},
        {"width": 0.5, "depth": 1.0, "dev": DEV},
    ],
}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    model = tiny_model(image=VIT, text={"blocks": BLOCKS})
    save_checkpoint(tmp_path / "elastic", model, tiny_tokenizer(), metrics={"elastic": ELASTIC})
    return tmp_path / "elastic"


def test_a_tier_is_cut_out_with_the_recall_that_training_measured(leanclip, checkpoint, tmp_path):
    whole = load_checkpoint(checkpoint)
    half_of_blocks = 2 * 2 * (2 * 32 * 64 + 64 + 4 * 32 * 16 + 3 * 16)
    rest = sum(one.numel() for one in whole.model.parameters()) - 2 * half_of_blocks
    status, out, _ = leanclip(
        "extract", checkpoint, tmp_path / "half", "--params", rest + half_of_blocks,
        "--target", "torch", "--json",
    )  # fmt: skip
    assert status == 0
    report = json.loads(out)
    assert report["trained"]
    assert report["sizes"]["text"] == {"width": 0.5, "depth": 1.0}
    assert report["after"]["dev"] == DEV
    small = load_checkpoint(tmp_path / "half")
    assert small.config.text.blocks.heads == (2, 2)
    assert small.config.image.blocks.neurons == (64, 64)
    assert small.metrics["extracted"]["from"] == whole.fingerprint
    assert small.metrics["dev"] == DEV


def test_an_ordinary_checkpoint_is_cut_with_a_warning_and_recall_is_measured(
    leanclip, checkpoint, tmp_path
):
    loaded = load_checkpoint(checkpoint)
    save_checkpoint(tmp_path / "plain", loaded.model, loaded.tokenizer)
    save_colour(tmp_path / "photos" / "red.png", "red")
    pairs = tmp_path / "dev.jsonl"
    pairs.write_text(json.dumps({"image": "photos/red.png", "captions": ["red"]}) + "\n")
    limit = round(0.8 * 4 * sum(one.numel() for one in loaded.model.parameters()))
    status, out, err = leanclip(
        "extract", tmp_path / "plain", tmp_path / "small", "--bytes", limit,
        "--dev", pairs, "--target", "torch",
    )  # fmt: skip
    assert status == 0
    assert "was not trained to be cut" in err
    assert "recall@10 text to photo" in out
    assert "100.0" in out
    weights = load_checkpoint(tmp_path / "small").model.parameters()
    assert 4 * sum(one.numel() for one in weights) <= limit


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{tmp}/none", "{tmp}/out", "--params", "1k"), "none is not a checkpoint"),
        (("{tmp}/elastic", "{tmp}/out"), "give one of --params, --bytes and --ms"),
        (("{tmp}/elastic", "{tmp}/out", "--params", "1", "--ms", "2"), "give one of --params"),
        (("{tmp}/elastic", "{tmp}/out", "--params", "few"), "--params: should be a quantity"),
        (("{tmp}/elastic", "{tmp}/out", "--params", "10"), "cannot be reached"),
        (("{tmp}/elastic", "{tmp}/out", "--ms", "1", "--target", "moon"), "on 'moon'; choose"),
        (("{tmp}/elastic", "{tmp}/elastic", "--params", "1k"), "is the checkpoint to cut from"),
        (("{tmp}/elastic", "{tmp}", "--params", "1k"), "exists and is not a checkpoint"),
    ],
)
def test_bad_input_is_one_line(leanclip, checkpoint, tmp_path, arguments, message):
    status, out, err = leanclip("extract", *(part.format(tmp=tmp_path) for part in arguments))
    assert (status, out) == (1, "")
    # A progress bar may have been drawn before.
    assert message in err.splitlines()[-1]
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["elastic"]

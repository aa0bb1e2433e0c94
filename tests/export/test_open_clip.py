"""open_clip's models, with random weights and small shapes, against open_clip itself."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import retrieval.models.torchvision_guard  # noqa: F401  (before open_clip)
from export.bundle import pack_bundle
from export.verify.golden_inputs import SENTENCES
from retrieval.cli.app import main
from retrieval.encode.load import open_encoder
from retrieval.models.checkpoint import load_checkpoint, save_checkpoint
from retrieval.models.open_clip import load_open_clip, parse_name
from retrieval.spec.errors import CheckpointError
from retrieval.vision.preprocess import load_pixels

TEXT = {"width": 32, "heads": 2, "layers": 2}
VIT = {"image_size": 64, "layers": 2, "width": 32, "patch_size": 16, "head_width": 16}
MODELS = {
    "tiny-vit": {"embed_dim": 24, "vision_cfg": VIT, "text_cfg": TEXT},
    "tiny-rn": {
        "embed_dim": 24,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8},
        "text_cfg": {**TEXT, "context_length": 20},
    },
    "tiny-timm": {
        "embed_dim": 24,
        "custom_text": True,
        "vision_cfg": {
            "image_size": 64,
            "timm_model_name": "test_resnet",
            "timm_pool": "avg",
            "timm_proj": "linear",
        },
        "text_cfg": {**TEXT, "no_causal_mask": True, "proj_bias": False},
    },
    "tiny-biased": {"embed_dim": 24, "vision_cfg": VIT, "text_cfg": {**TEXT, "proj_bias": True}},
    "tiny-hf": {
        "embed_dim": 24,
        "vision_cfg": VIT,
        "text_cfg": {**TEXT, "hf_tokenizer_name": "bert-base-uncased"},
    },
}


@pytest.fixture(scope="module", autouse=True)
def open_clip(tmp_path_factory):
    import open_clip

    folder = tmp_path_factory.mktemp("configs")
    for name, config in MODELS.items():
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    return open_clip


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """Not square, not upright, with detail finer than the model's pixels."""
    image = Image.effect_noise((300, 180), 60).convert("RGB")
    ImageDraw.Draw(image).rectangle([0, 0, 90, 179], fill=(200, 40, 30))
    path = tmp_path_factory.mktemp("photos") / "photo.png"
    image.save(path)
    return path


def both(name, open_clip, **options):
    torch.manual_seed(1)
    theirs = open_clip.create_model(name, **options).eval()
    torch.manual_seed(1)
    return theirs, load_open_clip(f"{name}/random", random_weights=True)


@pytest.mark.parametrize("name", ["tiny-vit", "tiny-rn", "tiny-timm"])
def test_bundle_embeds_as_open_clip_does(name, open_clip, photo, tmp_path):
    theirs, ours = both(name, open_clip)
    with torch.no_grad():
        settings = open_clip.transform.PreprocessCfg(**theirs.visual.preprocess_cfg)
        transform = open_clip.transform.image_transform_v2(settings, is_train=False)
        image = transform(Image.open(photo))[None]
        expected_photo = theirs.encode_image(image, normalize=True).numpy()
        ids = open_clip.get_tokenizer(name)(list(SENTENCES))
        expected_texts = theirs.encode_text(ids, normalize=True).numpy()
    pack_bundle(ours, tmp_path / "bundle", precision="fp32")
    encoder = open_encoder(tmp_path / "bundle")
    assert (encoder.tokenizer.batch(SENTENCES) == ids.numpy()).all()
    np.testing.assert_allclose(encoder.encode_sentences(SENTENCES), expected_texts, atol=1e-4)
    pixels = load_pixels(photo, encoder.preprocessing)[None]
    np.testing.assert_allclose(encoder.encode_pixels(pixels), expected_photo, atol=1e-4)


def test_it_is_a_checkpoint_like_any_other(open_clip, tmp_path):
    _, ours = both("tiny-rn", open_clip)
    save_checkpoint(tmp_path / "saved", ours.model, ours.tokenizer)
    again = load_checkpoint(tmp_path / "saved")
    pixels = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(
            again.model.encode_image(pixels), ours.model.encode_image(pixels)
        )
    assert again.config.preprocessing == ours.config.preprocessing


def test_weights_from_a_file_decide_the_fingerprint(open_clip, tmp_path):
    theirs, ours = both("tiny-vit", open_clip)
    path = tmp_path / "weights.pt"
    torch.save(theirs.state_dict(), path)
    loaded = load_open_clip(f"tiny-vit/{path}")
    assert loaded.fingerprint == ours.fingerprint
    theirs.ln_final.bias.data += 1
    torch.save(theirs.state_dict(), path)
    assert load_open_clip(f"tiny-vit/{path}").fingerprint != ours.fingerprint


def test_a_tag_decides_the_activation(open_clip, monkeypatch):
    """ViT-B-32/openai was trained with QuickGELU, which the name ViT-B-32 does not say."""
    made = {}

    def create(model, **options):
        made.update(options)
        raise RuntimeError("no network here")

    monkeypatch.setattr(open_clip, "create_model", create)
    with pytest.raises(CheckpointError, match="cannot load ViT-B-32/openai: no network here"):
        load_open_clip("ViT-B-32/openai")
    assert made["force_quick_gelu"] is True


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ViT-B-33/openai", "no model 'ViT-B-33'; close names: ViT-B-32"),
        ("ViT-B-32", "name weights too: .*openai"),
        ("ViT-B-32/nothing", "'nothing' is neither a file nor weights of ViT-B-32"),
        ("ViT-B-32/random", "random weights"),
        ("coca_ViT-B-32/mscoco_finetuned_laion2b_s13b_b90k", "CoCa"),
        ("ViT-B-16-SigLIP/webli", "only models with CLIP's own tokenizer"),
        ("local-dir:/nowhere", "cannot read local-dir:/nowhere's configuration"),
    ],
)
def test_what_cannot_be_used_is_one_clear_line(name, message):
    with pytest.raises(CheckpointError, match=message) as error:
        load_open_clip(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "message"), [("tiny-biased", "sets proj_bias to True"), ("tiny-hf", "bert-base")]
)
def test_text_towers_that_ours_cannot_be_are_refused(name, message):
    with pytest.raises(CheckpointError, match=message):
        load_open_clip(f"{name}/random", random_weights=True)


def test_names():
    assert parse_name("ViT-B-32/a/b.pt") == ("ViT-B-32", "a/b.pt")
    assert parse_name("hf-hub:org/name") == ("hf-hub:org/name", None)


def test_import_command(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    arguments = ["import", "open_clip:tiny-vit/random", "--random-weights", "--json"]
    monkeypatch.setattr(sys, "argv", ["leanclip", *arguments, "--precision", "int8"])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    summary = json.loads(capsys.readouterr().out)
    assert summary["bundle"] == "tiny-vit-random.bundle"
    assert {file["precision"] for file in summary["files"]} == {"int8"}
    assert all(file["cosine"] > 0.98 for file in summary["files"])
    assert [path.name for path in tmp_path.iterdir()] == ["tiny-vit-random.bundle"]
    assert open_encoder("tiny-vit-random.bundle").encode_sentences(["a dog"]).shape == (1, 24)

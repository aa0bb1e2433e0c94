"""open_clip's models, with random weights and small shapes, against open_clip itself."""

import json
import sys

import huggingface_hub
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import retrieval.models.torchvision_guard  # noqa: F401  (before open_clip)
from export.bundle import pack_bundle
from export.verify.golden_inputs import SENTENCES
from retrieval.cli.app import main
from retrieval.encode.load import open_encoder
from retrieval.encode.torch import TorchEncoder
from retrieval.models.checkpoint import load_checkpoint, save_checkpoint
from retrieval.models.open_clip import load_open_clip, parse_name
from retrieval.spec.errors import CheckpointError
from retrieval.vision.preprocess import load_pixels
from tests.hugging_face import siglip_folder

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
    "tiny-scaled": {"embed_dim": 24, "vision_cfg": VIT, "text_cfg": {**TEXT, "ls_init_value": 0.1}},
    "tiny-hf": {
        "embed_dim": 24,
        "vision_cfg": VIT,
        "text_cfg": {**TEXT, "hf_tokenizer_name": "bert-base-uncased"},
    },
}
SIGLIP_TEXT = {
    **TEXT,
    "context_length": 16,
    "vocab_size": 400,
    "tokenizer_kwargs": {"clean": "canonicalize"},
    "no_causal_mask": True,
    "proj_bias": True,
    "pool_type": "last",
    "norm_kwargs": {"eps": 1e-6},
}
SIGLIP_VISION = {"image_size": 32, "timm_pool": "map", "timm_proj": "none"}


def siglip_models(folders):
    """SigLIP, SigLIP 2, and one whose image tower has parts that ours has not."""
    first = {**SIGLIP_TEXT, "hf_tokenizer_name": str(folders / "siglip")}
    second = {
        **SIGLIP_TEXT,
        "hf_tokenizer_name": str(folders / "siglip2"),
        "act_kwargs": {"approximate": "tanh"},
    }
    return {
        "tiny-siglip": {
            "embed_dim": 32,
            "custom_text": True,
            "vision_cfg": {**SIGLIP_VISION, "timm_model_name": "leanclip_tiny_siglip"},
            "text_cfg": first,
        },
        "tiny-siglip2": {
            "embed_dim": 32,
            "custom_text": True,
            "vision_cfg": {**SIGLIP_VISION, "timm_model_name": "leanclip_tiny_siglip"},
            "text_cfg": second,
        },
        "tiny-siglip-registers": {
            "embed_dim": 96,
            "custom_text": True,
            "vision_cfg": {**SIGLIP_VISION, "image_size": 160, "timm_model_name": "test_vit3"},
            "text_cfg": first,
        },
    }


def leanclip_tiny_siglip(pretrained=False, **options):
    """A timm model of SigLIP's kind, small enough for a test."""
    from timm.models.vision_transformer import VisionTransformer

    shape = {"img_size": 32, "patch_size": 16, "embed_dim": 32, "depth": 2, "num_heads": 2}
    return VisionTransformer(
        **shape, class_token=False, global_pool="map", num_classes=options.get("num_classes", 0)
    )


@pytest.fixture(scope="module", autouse=True)
def open_clip(tmp_path_factory):
    import open_clip
    import timm

    tokenizers = tmp_path_factory.mktemp("tokenizers")
    siglip_folder(tokenizers / "siglip")
    siglip_folder(tokenizers / "siglip2", kind="bpe")
    timm.models.register_model(leanclip_tiny_siglip)
    folder = tmp_path_factory.mktemp("configs")
    for name, config in {**MODELS, **siglip_models(tokenizers)}.items():
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


def awake(model):
    """Weights large enough that every part of a model counts."""
    torch.manual_seed(2)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tiny-siglip", "attention_pooled"),
        ("tiny-siglip2", "attention_pooled"),
        ("tiny-siglip-registers", "open_clip"),
    ],
)
def test_siglip_embeds_as_open_clip_does(name, kind, open_clip, photo, tmp_path):
    theirs = open_clip.create_model(name).eval()
    awake(theirs)
    torch.save(theirs.state_dict(), tmp_path / "weights.pt")
    ours = load_open_clip(f"{name}/{tmp_path / 'weights.pt'}")
    assert ours.config.image.kind == kind
    with torch.no_grad():
        settings = open_clip.transform.PreprocessCfg(**theirs.visual.preprocess_cfg)
        transform = open_clip.transform.image_transform_v2(settings, is_train=False)
        image = transform(Image.open(photo))[None]
        expected_photo = theirs.encode_image(image, normalize=True).numpy()
        ids = open_clip.get_tokenizer(name)(list(SENTENCES))
        expected_texts = theirs.encode_text(ids, normalize=True).numpy()
    assert ours.tokenizer.batch(SENTENCES).tolist() == ids.tolist()
    encoder = TorchEncoder(ours)
    np.testing.assert_allclose(encoder.encode_sentences(SENTENCES), expected_texts, atol=1e-4)
    pixels = load_pixels(photo, encoder.preprocessing)[None]
    np.testing.assert_allclose(encoder.encode_pixels(pixels), expected_photo, atol=1e-4)
    save_checkpoint(tmp_path / "saved", ours.model, ours.tokenizer)
    again = TorchEncoder(tmp_path / "saved")
    np.testing.assert_allclose(again.encode_pixels(pixels), expected_photo, atol=1e-4)


@pytest.mark.parametrize("name", ["tiny-vit", "tiny-rn", "tiny-timm", "tiny-biased"])
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


def unreachable(name, **options):
    raise ConnectionError("no network in tests")


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
        ("ViT-H-14-CLIPA/datacomp1b", "bert-base-uncased; only models with CLIP's own tokenizer"),
        ("nllb-clip-base-siglip/v1", "facebook/nllb.*; only models with CLIP's own tokenizer"),
        ("ViT-B-16-SigLIP/webli", "timm/ViT-B-16-SigLIP .* cannot be fetched"),
        ("local-dir:/nowhere", "cannot read local-dir:/nowhere's configuration"),
    ],
)
def test_what_cannot_be_used_is_one_clear_line(name, message, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(CheckpointError, match=message) as error:
        load_open_clip(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "message"), [("tiny-scaled", "sets ls_init_value to 0.1"), ("tiny-hf", "bert-base")]
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

"""Models of transformers, with random weights and small shapes, against transformers itself."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from export.bundle import pack_bundle
from export.verify.golden_inputs import SENTENCES
from retrieval.encode.load import open_encoder
from retrieval.language.cleaning import clean
from retrieval.models.checkpoint import load_checkpoint, save_checkpoint
from retrieval.models.hugging_face import load_hugging_face
from retrieval.models.surgery.find import find_groups
from retrieval.spec.errors import CheckpointError
from retrieval.vision.preprocess import preprocess
from tests.hugging_face import CONTEXT, SIZE, reference

FAMILIES = ("clip", "siglip", "siglip2")


@pytest.fixture(params=FAMILIES)
def family(request):
    """Name, folder and transformers' model."""
    return request.param, *request.getfixturevalue(request.param)


@pytest.fixture
def photo():
    """Not square, with detail finer than the model's pixels."""
    noise = np.random.default_rng(0).integers(0, 256, (90, 150, 3), np.uint8)
    return Image.fromarray(noise)


def copy_of(folder, to, **changes):
    """A copy of a folder with other values in ``config.json``."""
    shutil.copytree(folder, to)
    config = json.loads((to / "config.json").read_text())
    (to / "config.json").write_text(json.dumps(config | changes))
    return to


def tokenizer_of(name, folder):
    if name == "clip":
        files = {"vocab": str(folder / "vocab.json"), "merges": str(folder / "merges.txt")}
        return reference().CLIPTokenizer(**files)
    return reference().AutoTokenizer.from_pretrained(folder)


def normalised(tensor):
    return torch.nn.functional.normalize(tensor.pooler_output, dim=-1).numpy()


def test_the_bundle_embeds_as_transformers_does(family, photo, tmp_path):
    name, folder, theirs = family
    ours = load_hugging_face(str(folder))
    pack_bundle(ours, tmp_path / "bundle", precision="fp32")
    encoder = open_encoder(tmp_path / "bundle")
    processor = reference().AutoImageProcessor.from_pretrained(folder, use_fast=False)
    pixels = processor(photo, return_tensors="pt")["pixel_values"]
    ids = torch.from_numpy(encoder.tokenizer.batch(SENTENCES)).long()
    with torch.no_grad():
        photos = normalised(theirs.get_image_features(pixel_values=pixels))
        texts = normalised(theirs.get_text_features(input_ids=ids))
    found = encoder.encode_pixels(preprocess(photo, encoder.preprocessing)[None])
    np.testing.assert_allclose(found, photos, atol=1e-4)
    np.testing.assert_allclose(encoder.encode_sentences(SENTENCES), texts, atol=1e-4)
    assert len({round(float(row[0]), 4) for row in texts}) > len(SENTENCES) // 2


def test_ids_are_those_of_transformers_once_sentences_are_mended(family):
    name, folder, _ = family
    ours = load_hugging_face(str(folder)).tokenizer
    theirs = tokenizer_of(name, folder)
    options = {"padding": "max_length", "max_length": CONTEXT, "truncation": True}
    mended = [clean(sentence, lower_case=False) for sentence in SENTENCES]
    assert ours.batch(SENTENCES).tolist() == theirs(mended, **options)["input_ids"]
    # Most sentences need no mending.
    same = [a == b for a, b in zip(mended, SENTENCES, strict=True)]
    plain = [sentence for sentence, one in zip(SENTENCES, same, strict=True) if one]
    assert len(plain) >= 8
    assert ours.batch(plain).tolist() == theirs(plain, **options)["input_ids"]


def test_it_is_a_checkpoint_like_any_other(family, tmp_path):
    _, folder, _ = family
    ours = load_hugging_face(str(folder))
    save_checkpoint(tmp_path / "saved", ours.model, ours.tokenizer)
    again = load_checkpoint(tmp_path / "saved")
    assert again.config.preprocessing == ours.config.preprocessing
    assert (again.tokenizer.batch(SENTENCES) == ours.tokenizer.batch(SENTENCES)).all()
    pixels = torch.rand(2, 3, SIZE, SIZE)
    with torch.no_grad():
        torch.testing.assert_close(
            again.model.encode_image(pixels), ours.model.encode_image(pixels)
        )


@pytest.mark.parametrize("tower", ["image", "text"])
def test_clips_towers_can_be_pruned(clip, tower):
    model = load_hugging_face(str(clip[0])).model
    heads = find_groups(model, "head", tower)
    assert len(heads) == len(getattr(model.config, tower).blocks.heads)


def test_the_fingerprint_follows_the_weights(siglip, tmp_path):
    folder = copy_of(siglip[0], tmp_path / "changed")
    first = load_hugging_face(str(folder)).fingerprint
    assert first == load_hugging_face(str(siglip[0])).fingerprint
    weights = load_file(folder / "model.safetensors")
    weights["text_model.head.bias"] += 1
    save_file(weights, folder / "model.safetensors")
    assert load_hugging_face(str(folder)).fingerprint != first


def test_weights_in_parts_and_pickled_weights_are_read(clip, tmp_path):
    expected = load_hugging_face(str(clip[0])).fingerprint
    weights = load_file(clip[0] / "model.safetensors")
    parts = copy_of(clip[0], tmp_path / "parts")
    (parts / "model.safetensors").unlink()
    names = sorted(weights)
    index = {}
    for number, some in enumerate((names[:20], names[20:])):
        file = f"model-{number}.safetensors"
        save_file({name: weights[name] for name in some}, parts / file)
        index |= dict.fromkeys(some, file)
    (parts / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    assert load_hugging_face(str(parts)).fingerprint == expected
    pickled = copy_of(clip[0], tmp_path / "pickled")
    (pickled / "model.safetensors").unlink()
    torch.save(weights, pickled / "pytorch_model.bin")
    assert load_hugging_face(str(pickled)).fingerprint == expected


def test_a_tokenizer_that_is_json_alone_is_read(clip, tmp_path):
    folder = copy_of(clip[0], tmp_path / "json")
    tokenizer_of("clip", folder).save_pretrained(folder)
    for name in ("vocab.json", "merges.txt"):
        (folder / name).unlink()
    expected = load_hugging_face(str(clip[0])).tokenizer
    assert load_hugging_face(str(folder)).tokenizer.spec == expected.spec


@pytest.mark.parametrize("kind", ["blip", "align", "coca", "siglip2", None])
def test_other_architectures_are_refused_by_name(clip, tmp_path, kind):
    folder = copy_of(clip[0], tmp_path / "other", model_type=kind)
    with pytest.raises(
        CheckpointError, match=f"architecture {kind}; only clip and siglip"
    ) as caught:
        load_hugging_face(str(folder))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("family", "missing", "message"),
    [
        ("clip", "config.json", "has no config.json"),
        ("clip", "model.safetensors", "neither model.safetensors nor pytorch_model.bin"),
        ("clip", "preprocessor_config.json", "has no preprocessor_config.json"),
        ("clip", "merges.txt", "has no tokenizer: copy tokenizer.json, or vocab.json"),
        ("siglip", "spiece.model", "has no tokenizer: copy spiece.model"),
        ("siglip", "tokenizer_config.json", "names no eos_token in tokenizer_config.json"),
        ("siglip2", "tokenizer.json", "has no tokenizer"),
    ],
)
def test_a_missing_file_is_one_line(request, tmp_path, family, missing, message):
    folder = copy_of(request.getfixturevalue(family)[0], tmp_path / "lacking")
    (folder / missing).unlink()
    with pytest.raises(CheckpointError, match=message) as caught:
        load_hugging_face(str(folder))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", "{", "is not JSON"),
        ("config.json", "[]", "is not a JSON object"),
        ("model.safetensors", "damaged", "model.safetensors cannot be read"),
        ("spiece.model", "damaged", "is not a SentencePiece model"),
    ],
)
def test_a_damaged_file_is_one_line(siglip, tmp_path, file, content, message):
    folder = copy_of(siglip[0], tmp_path / "damaged")
    (folder / file).write_text(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_hugging_face(str(folder))
    assert "\n" not in str(caught.value)


def test_weights_that_do_not_fit_are_one_line(clip, tmp_path):
    folder = copy_of(clip[0], tmp_path / "other", projection_dim=32)
    with pytest.raises(CheckpointError, match="do not fit its config.json") as caught:
        load_hugging_face(str(folder))
    assert "\n" not in str(caught.value)
    weights = load_file(folder / "model.safetensors")
    del weights["text_projection.weight"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="lack text_projection.weight"):
        load_hugging_face(str(folder))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop_size": {"height": 24, "width": 24}}, "makes photos of 24, 32 pixels"),
        ({"do_center_crop": False}, "makes photos of 32, None pixels"),
        ({"resample": 0}, "sets resample to 0"),
        ({"do_normalize": False}, "sets do_normalize to False"),
    ],
)
def test_preprocessing_that_ours_cannot_say_is_refused(clip, tmp_path, changes, message):
    folder = copy_of(clip[0], tmp_path / "other")
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(CheckpointError, match=message):
        load_hugging_face(str(folder))


def test_a_vocabulary_in_another_order_is_refused(clip, tmp_path):
    folder = copy_of(clip[0], tmp_path / "other")
    ids = json.loads((folder / "vocab.json").read_text())
    ids["!"], ids['"'] = ids['"'], ids["!"]
    (folder / "vocab.json").write_text(json.dumps(ids))
    with pytest.raises(CheckpointError, match="not laid out as CLIP's"):
        load_hugging_face(str(folder))


def test_an_activation_of_another_kind_is_refused(clip, tmp_path):
    text = json.loads((clip[0] / "config.json").read_text())["text_config"]
    folder = copy_of(clip[0], tmp_path / "other", text_config=text | {"hidden_act": "relu"})
    with pytest.raises(CheckpointError, match="activation relu is not supported"):
        load_hugging_face(str(folder))


def test_a_folder_of_open_clip_says_how_to_name_it(tmp_path):
    (tmp_path / "open_clip_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=f"name it open_clip:local-dir:{tmp_path}"):
        load_hugging_face(str(tmp_path))

"""Every tower that leanclip vouches for becomes every format, and computes what PyTorch does.

ONNX runs always. The other converters take minutes for all towers, so they run on demand:
python -m pytest -m slow tests/export/test_every_tower.py
"""

from typing import get_args

import pytest

from export.targets.graphs import image_graph, text_graph
from export.targets.registry import FORMATS, find_target
from export.targets.support import ATTENTION_POOLED, SUPPORT, TEXT, VIT, note, parts, refusal
from export.targets.target import Conversion
from export.verify.parity import agreement, reference
from retrieval.spec.model import ImageTowerSpec, ModelConfig, TextTower
from tests.export.smooth import smooth_photos
from tests.tiny import DIM, tiny_model, tiny_tokenizer
from tests.tiny import TEXT as TEXT_TOWER
from tests.tiny import VIT as VIT_TOWER

SIZES = {"efficientvit_b0": 64, "fastvit_t8": 64, "tiny_vit_5m_224": 64}
"""Others take 32 pixels; these halve their input more often."""

BLOCKS = {"width": DIM, "head_dim": 8, "layers": 2, "heads": 3, "neurons": 48}
OWN = {
    VIT: None,
    ATTENTION_POOLED: {
        "kind": ATTENTION_POOLED,
        "blocks": BLOCKS,
        "pool_heads": 3,
        "pool_neurons": 48,
    },
}
"""Image towers of our own, as `tiny_model` takes them."""

BY_NAME = {
    "timm": {"kind": "timm", "backbones": [{"name": "test_vit"}]},
    "open_clip": {"kind": "open_clip", "model": "ViT-B-32"},
}
"""Image towers of others, which are listed by name where they are."""

CASES = [
    pytest.param(name, format, marks=[] if format == "onnx" else pytest.mark.slow)
    for format in FORMATS
    for name in SUPPORT
]


def conversion(name):
    if name == TEXT:
        model = tiny_model()
        ids = tiny_tokenizer().batch(["a dog", "", "two cats on a mat " * 9])
        return Conversion(model, "text", text_graph(model), ids)
    size = SIZES.get(name, 32)
    options = {"img_size": size} if name.startswith("vit_") else {}
    backbones = [{"name": name, "options": options}]
    image = OWN.get(name, {"kind": "timm", "backbones": backbones})
    model = tiny_model(image=image, size=size)
    return Conversion(model, "image", image_graph(model), smooth_photos(3, size))


@pytest.mark.parametrize(("name", "format"), CASES)
def test_tower_becomes_a_file_that_computes_what_pytorch_does(name, format, tmp_path):
    target, given = find_target(format), conversion(name)
    assert parts(given.model.config, given.tower) == (name,)
    assert refusal(given.model.config, given.tower, format, "fp32") is None
    assert target.refuses(given, "fp32") is None
    path = tmp_path / f"tower{target.suffix}"
    written = target.trace(given).write(path, "fp32")
    assert written.precision == "fp32"
    assert path.exists()
    run = target.open(path, written.interface)
    if run is not None:
        expected = reference(given.graph, given.examples)
        assert agreement(expected, run(given.examples)).min_cosine >= 0.9999


def kinds(union):
    """What the field ``kind`` may say in a tower's specification."""
    towers = get_args(union) or (union,)
    return [tower.model_fields["kind"].default for tower in towers]


@pytest.mark.parametrize("kind", kinds(get_args(ImageTowerSpec)[0]))
def test_every_kind_of_image_tower_is_answered(kind):
    image = {**OWN, **BY_NAME}[kind] or VIT_TOWER
    config = config_of(image)
    assert config.image.kind == kind
    if kind in OWN:
        assert parts(config, "image") == (kind,)
        assert note(config, "image") is None
        assert "choose int8" in refusal(config, "image", "onnx", "int8-static")
    else:
        # Of towers that only have a name there are too many: a file's report says so.
        assert "is not among the towers that leanclip is tested with" in note(config, "image")


def test_every_kind_of_text_tower_is_answered():
    assert kinds(TextTower) == ["transformer"]
    config = config_of(VIT_TOWER)
    assert note(config, "text") is None
    assert "choose int8" in refusal(config, "text", "litert", "int8-static")


def config_of(image):
    return ModelConfig.model_validate(
        {
            "name": "tiny",
            "embedding_dim": DIM,
            "image": image,
            "text": TEXT_TOWER,
            "preprocessing": {"size": 32},
            "tokens": tiny_tokenizer().spec,
        }
    )


@pytest.mark.parametrize("name", SUPPORT)
def test_a_refusal_names_something_else_that_the_format_has(name):
    for one in SUPPORT[name]:
        offered = find_target(one.format).precisions
        assert one.precision is None or one.precision in offered
        alternative = one.alternative.partition(",")[0]
        assert alternative in offered or alternative in FORMATS

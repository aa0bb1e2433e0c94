"""Every tower that leanclip vouches for becomes every format, and computes what PyTorch does.

ONNX runs always. The other converters take minutes for all towers, so they run on demand:
python -m pytest -m slow tests/export/test_every_tower.py
"""

import pytest

from export.targets.graphs import image_graph, text_graph
from export.targets.registry import FORMATS, find_target
from export.targets.support import SUPPORT, TEXT, VIT, parts, refusal
from export.targets.target import Conversion
from export.verify.parity import agreement, reference
from tests.export.smooth import smooth_photos
from tests.tiny import tiny_model, tiny_tokenizer

SIZES = {"efficientvit_b0": 64, "fastvit_t8": 64, "tiny_vit_5m_224": 64}
"""Others take 32 pixels; these halve their input more often."""

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
    image = None if name == VIT else {"kind": "timm", "backbones": backbones}
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


@pytest.mark.parametrize("name", SUPPORT)
def test_a_refusal_names_something_else_that_the_format_has(name):
    for one in SUPPORT[name]:
        offered = find_target(one.format).precisions
        assert one.precision is None or one.precision in offered
        alternative = one.alternative.partition(",")[0]
        assert alternative in offered or alternative in FORMATS

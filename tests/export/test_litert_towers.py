"""Each image tower of the registry in each precision of LiteRT; minutes, so only on demand.

python -m pytest -m slow tests/export/test_litert_towers.py
"""

import pytest

from export.targets.graphs import image_graph
from export.targets.registry import find_target
from export.targets.support import SUPPORT, TEXT, VIT
from export.targets.target import Conversion
from export.verify.parity import agreement, reference
from tests.export.smooth import smooth_photos
from tests.tiny import tiny_model

TARGET = find_target("litert")
SMALLEST_COSINE = {"fp32": 0.9999, "fp16": 0.999, "int8": 0.99, "int8-static": 0.85}
"""Weights are random: trained ones leave int8 less room for outliers."""

TOWERS = sorted(set(SUPPORT) - {TEXT, VIT})
SIZES = {"efficientvit_b0": 64, "fastvit_t8": 64, "tiny_vit_5m_224": 64}
"""Others take 32 pixels; these halve their input more often."""


@pytest.mark.slow
@pytest.mark.parametrize("name", TOWERS)
def test_tower_computes_what_pytorch_does_in_every_precision(name, tmp_path):
    size = SIZES.get(name, 32)
    options = {"img_size": size} if name.startswith("vit_") else {}
    backbone = {"name": name, "options": options}
    model = tiny_model(image={"kind": "timm", "backbones": [backbone]}, size=size)
    graph = image_graph(model)
    photos = smooth_photos(24, size)
    conversion = Conversion(model, "image", graph, photos[:2], calibration=photos[:16])
    traced = TARGET.trace(conversion)
    for precision in TARGET.precisions:
        assert TARGET.refuses(conversion, precision) is None
        path = tmp_path / f"{precision}.tflite"
        written = traced.write(path, precision)
        found = TARGET.open(path, written.interface)(photos[16:])
        worst = agreement(reference(graph, photos[16:]), found).min_cosine
        assert worst >= SMALLEST_COSINE[precision], precision

"""Each image tower of the registry in each precision of Core ML; minutes, so only on demand.

python -m pytest -m slow tests/export/coreml/test_coreml_towers.py
"""

import pytest

from export.targets.coreml.graph import scaling
from export.targets.graphs import image_graph
from export.targets.registry import find_target
from export.targets.support import SUPPORT, TEXT, VIT
from export.targets.target import Conversion
from export.verify.parity import agreement
from retrieval.spec.errors import ExportError
from tests.export.coreml.conversions import truth
from tests.export.coreml.ml_program import MLProgram
from tests.export.smooth import smooth_photos
from tests.tiny import tiny_model

TARGET = find_target("coreml")
# Of random weights; pal4 is left to whoever asks for it and looks at the recall.
SMALLEST_COSINE = {"fp32": 0.9999, "fp16": 0.999, "int8": 0.99, "pal8": 0.99, "pal6": 0.9}

TOWERS = sorted(set(SUPPORT) - {TEXT, VIT})
SIZE = 64


@pytest.mark.slow
@pytest.mark.parametrize("name", TOWERS)
def test_tower_computes_what_pytorch_does_in_every_precision(name, tmp_path):
    options = {"img_size": SIZE} if name.startswith("vit_") else {}
    backbone = {"name": name, "options": options}
    model = tiny_model(image={"kind": "timm", "backbones": [backbone]}, size=SIZE)
    assert scaling(model.config.preprocessing).ratio != (1, 1, 1)
    one = Conversion(model, "image", image_graph(model), smooth_photos(3, SIZE))
    traced = TARGET.trace(one)
    for precision, smallest in SMALLEST_COSINE.items():
        assert TARGET.refuses(one, precision) is None
        path = tmp_path / f"{precision}.mlpackage"
        if precision == "fp16" and not traced.largest.fits_half:
            # MobileOne before any training: its branches add up without end.
            with pytest.raises(ExportError, match="more than float16 holds"):
                traced.write(path, precision)
            continue
        traced.write(path, precision)
        found = MLProgram(path)(one.examples)
        assert agreement(truth(one), found).min_cosine >= smallest, precision

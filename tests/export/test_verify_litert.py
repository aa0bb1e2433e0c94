import numpy as np
import torch

from export.targets.graphs import text_graph
from export.targets.registry import find_target
from export.targets.target import Conversion
from export.verify.layers import first_jump
from export.verify.layers_litert import litert_layers
from tests.tiny import tiny_model, tiny_tokenizer

SENTENCES = ["a dog on the grass", "two red boats", "a very old stone bridge"]


def test_the_block_whose_weights_are_wrong_is_named(tmp_path):
    """Two files of one architecture: the second has one layer's weights negated."""
    ids = tiny_tokenizer().batch(SENTENCES)
    paths = []
    for name in ("right", "wrong"):
        model = tiny_model()
        if name == "wrong":
            with torch.no_grad():
                model.text.blocks[1].up.weight.neg_()
        target = find_target("litert")
        conversion = Conversion(model=model, tower="text", graph=text_graph(model), examples=ids)
        paths.append(tmp_path / f"{name}{target.suffix}")
        target.trace(conversion).write(paths[-1], "fp32")
    layers = litert_layers(*paths, ids[:1])
    assert len(layers) > 20
    assert all(np.isfinite(layer.expected).all() for layer in layers)
    assert "/blocks/1/" in first_jump(layers).partition(":")[0]
    assert "/blocks/1/up" in first_jump(layers)
    assert first_jump(litert_layers(paths[0], paths[0], ids[:1])).startswith("not located")

"""Biases of static int8 LiteRT files: channels keep their means, and nothing else changes."""

import numpy as np
import pytest
import torch
from torch import nn

from export.quantize import litert
from export.quantize.litert_biases import correct_biases
from export.targets.graphs import image_graph
from export.targets.litert.converter import convert
from export.targets.litert.flatbuffer import operations, signature_of, weights
from export.verify.layers_litert import litert_layers
from tests.export.smooth import smooth_photos
from tests.tiny import SIZE, tiny_model

WIDTH = 16


class Separable(nn.Module):
    """Channels differ in size by much, and share a scale: what shifts small ones most.

    Convolutions have no biases: the converter stores zeros for all of them.
    """

    def __init__(self):
        super().__init__()
        layers = [nn.Conv2d(3, WIDTH, 3, stride=2, padding=1, bias=False), nn.ReLU()]
        sizes = torch.logspace(-1, 1, WIDTH)
        for _ in range(4):
            deep = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH, bias=False)
            point = nn.Conv2d(WIDTH, WIDTH, 1, bias=False)
            with torch.no_grad():
                deep.weight *= sizes[:, None, None, None]
                point.weight /= sizes[:, None, None]
            layers += [deep, nn.ReLU(), point]
        self.layers = nn.Sequential(*layers)

    def forward(self, pixels):
        return self.layers(pixels).mean(dim=(2, 3))


@pytest.fixture(scope="module")
def photos():
    return smooth_photos(28, SIZE).transpose(0, 2, 3, 1).copy()


@pytest.fixture(scope="module")
def exact(photos):
    torch.manual_seed(0)
    model = tiny_model()
    model.image = Separable().eval()
    return convert(image_graph(model), photos[:1], metadata={})


@pytest.fixture(scope="module")
def rounded(exact, photos):
    """As the quantiser leaves it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(litert, "correct_biases", lambda model, quantised, inputs: quantised)
        return litert.quantise(exact, "int8-static", calibration=photos[:16])


@pytest.fixture(scope="module")
def corrected(exact, photos):
    return litert.quantise(exact, "int8-static", calibration=photos[:16])


@pytest.fixture
def shifts(exact, photos, tmp_path):
    """How far channels' means lie from those in float, for each convolution."""

    def measured(model):
        paths = tmp_path / "exact.tflite", tmp_path / "other.tflite"
        for path, data in zip(paths, (exact, model), strict=True):
            path.write_bytes(data)
        runs = [litert_layers(*paths, row[None]) for row in photos[:16]]
        return [
            np.abs(np.mean([one.found - one.expected for one in layers], axis=(0, 1, 2, 3))).mean()
            for layers in zip(*runs, strict=True)
            if "CONV_2D" in layers[0].name.split()[0] and layers[0].expected.ndim == 4
        ]

    return measured


def embedded(model, photos):
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(model_content=model, num_threads=1).get_signature_runner()
    return np.concatenate([run(pixels=row[None])[signature_of(model).output] for row in photos])


def test_channels_are_brought_back_to_their_means(rounded, corrected, shifts):
    before, after = shifts(rounded), shifts(corrected)
    assert len(before) == len(after) == 9
    assert np.median(after) < 0.3 * np.median(before)


def test_unseen_photos_are_nearer_to_float(exact, rounded, corrected, photos):
    wanted = embedded(exact, photos[16:])
    before, after = ((embedded(one, photos[16:]) * wanted).sum(1) for one in (rounded, corrected))
    assert 1 - after.mean() < 0.5 * (1 - before.mean())


def test_only_biases_change_and_each_stays_where_it_was(rounded, corrected):
    assert len(rounded) == len(corrected)
    assert operations(rounded) == operations(corrected)
    for before, after in zip(weights(rounded), weights(corrected), strict=True):
        np.testing.assert_array_equal(before, after)
    assert constants_that_differ(rounded, corrected) == {"INT32"}


def constants_that_differ(one, other):
    """Types of the constants that are not the same in two files."""
    from ai_edge_litert.tools import flatbuffer_utils as tools

    trees = [tools.read_model_from_bytearray(bytearray(model)) for model in (one, other)]
    (first,), (second,) = (tree.subgraphs for tree in trees)
    return {
        tools.type_to_name(tensor.type)
        for tensor, same in zip(first.tensors, second.tensors, strict=True)
        if not np.array_equal(
            trees[0].buffers[tensor.buffer].data, trees[1].buffers[same.buffer].data
        )
    }


def test_a_file_in_float_stays_as_it_is(exact, photos):
    assert correct_biases(exact, exact, photos) == exact

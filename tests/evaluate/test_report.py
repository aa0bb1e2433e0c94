import csv
import json
import struct
import time

import numpy as np
import pytest

from retrieval.corpora.pairs import CaptionedPhoto
from retrieval.evaluate.latency import WARM_UP, Latency, Timing, measure_latency
from retrieval.evaluate.recall import Ranking, RetrievalMetrics
from retrieval.evaluate.report import ModelReport, embed_pairs, evaluate_model
from retrieval.evaluate.size import ModelSize, measure_size
from retrieval.evaluate.table import csv_table, markdown_table, rich_table
from retrieval.spec.errors import CheckpointError, EvaluationError
from tests.fakes import COLOURS, ColourEncoder, save_colour
from tests.fixtures.tiny_bundle import write_tiny_bundle


@pytest.fixture
def pairs(tmp_path):
    return [
        CaptionedPhoto(save_colour(tmp_path / f"{colour}.png", colour), (colour, f"so {colour}"))
        for colour in COLOURS
    ]


def test_pairs_are_embedded_in_order_whatever_the_batch(pairs):
    advanced = []
    whole = embed_pairs(ColourEncoder(), pairs)
    parts = embed_pairs(ColourEncoder(), pairs, batch_size=2, advance=advanced.append)
    assert sum(advanced) == 15
    np.testing.assert_allclose(parts.images, whole.images, atol=1e-6)
    np.testing.assert_allclose(parts.texts, whole.texts, atol=1e-6)
    assert parts.photo_of_caption.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert parts.metrics().text_to_image.recall[1] == 1.0


def test_an_undecodable_photo_takes_its_captions_along(pairs):
    pairs[1].image.write_bytes(b"no photo")
    embedded = embed_pairs(ColourEncoder(), pairs, batch_size=2)
    assert embedded.pairs == [pairs[0], *pairs[2:]]
    assert embedded.texts.shape[0] == 8
    assert len(embedded.unreadable) == 1 and "green.png" in embedded.unreadable[0]
    assert embedded.metrics().text_to_image.recall[1] == 1.0
    with pytest.raises(EvaluationError, match=r"none of the photos.*green\.png"):
        embed_pairs(ColourEncoder(), pairs[1:2])


def test_latency_counts_calls_of_batch_one():
    class Slow(ColourEncoder):
        def __init__(self):
            super().__init__()
            self.batches = []

        def encode_pixels(self, pixels):
            self.batches.append(pixels.shape)
            time.sleep(0.003)
            return super().encode_pixels(pixels)

    encoder = Slow()
    latency = measure_latency(encoder, np.zeros((2, 3, 16, 16), np.uint8), ["red", "blue"], runs=9)
    assert encoder.batches == [(1, 3, 16, 16)] * (9 + WARM_UP)
    assert 3 <= latency.photo.median_ms <= latency.photo.p90_ms
    assert latency.sentence.median_ms < latency.photo.median_ms
    assert latency.to_dict()["batch"] == 1


def test_a_bundle_is_measured_whole(tmp_path, pairs):
    bundle = write_tiny_bundle(tmp_path / "bundle")
    report = evaluate_model(bundle, pairs, latency=True)
    onnx = sum(path.stat().st_size for path in (bundle / "onnx").iterdir())
    assert report.size == ModelSize(parameters=24, bytes=onnx)
    assert report.metrics.image_to_text.recall[1] == 1.0
    assert report.latency.sentence.runs == 50


def test_a_checkpoint_is_measured_from_its_header(tmp_path):
    header = {
        "__metadata__": {"format": "pt"},
        "a.weight": {"dtype": "F16", "shape": [3, 4], "data_offsets": [0, 24]},
        "scale": {"dtype": "F32", "shape": [], "data_offsets": [24, 28]},
        "bn.running_mean": {"dtype": "F32", "shape": [7], "data_offsets": [28, 56]},
    }
    text = json.dumps(header).encode()
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(struct.pack("<Q", len(text)) + text + bytes(56))
    assert measure_size(tmp_path) == ModelSize(13, 8 + len(text) + 56)
    for damaged in (b"", b"\xff" * 20, struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 99) + b"{"):
        weights.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged"):
            measure_size(tmp_path)
    weights.unlink()
    with pytest.raises(CheckpointError, match="neither a bundle nor a checkpoint"):
        measure_size(tmp_path)


def test_parameters_agree_with_safetensors_itself(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    layer = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    save_file(layer.state_dict(), tmp_path / "model.safetensors")
    assert measure_size(tmp_path).parameters == sum(p.numel() for p in layer.parameters())


@pytest.fixture
def reports():
    ranking = Ranking({1: 0.125, 5: 0.5, 10: 0.75}, 4.5)
    metrics = RetrievalMetrics(ranking, ranking, 1000, 5000)
    timing = Timing(12.34, 15.0, 50)
    return [
        ModelReport("teacher", metrics, ModelSize(12_345_678, 24_700_000)),
        ModelReport(
            "a|b", metrics, ModelSize(None, 5_000_000), Latency(timing, timing, 1, "a machine")
        ),
    ]


def test_markdown(reports):
    lines = markdown_table(reports).splitlines()
    assert lines[1] == "| --- |" + " ---: |" * 10
    assert lines[2] == (
        "| teacher | 12.35 | 24.7 | 12.5 | 50.0 | 75.0 | 12.5 | 50.0 | 75.0 | - | - |"
    )
    assert lines[3].startswith("| a\\|b | - | 5.0 |") and lines[3].endswith("| 12.3 | 12.3 |")


def test_csv_keeps_every_digit_and_leaves_unknowns_empty(reports):
    first, second = csv.DictReader(csv_table(reports).splitlines())
    assert first["parameters (M)"] == "12.345678" and first["ms/photo"] == ""
    assert second["model"] == "a|b" and second["parameters (M)"] == ""
    assert second["ms/photo"] == "12.34" and second["text to image R@1"] == "12.5"


def test_terminal_table_has_a_row_for_each_model(reports):
    table = rich_table(reports, title="Models")
    assert (table.row_count, len(table.columns)) == (2, 7)
    assert list(table.columns[0].cells) == ["teacher", "a|b"]

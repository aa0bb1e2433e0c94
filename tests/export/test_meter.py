"""Milliseconds in ONNX Runtime."""

import pytest

import export.meter
from export.meter import OnnxMeter
from tests.tiny import tiny_model, tiny_tokenizer


@pytest.mark.parametrize(("tower", "layout"), [("image", "NHWC"), ("text", "NCHW")])
def test_a_tower_is_exported_once_for_each_shape(monkeypatch, tower, layout):
    exported = []
    trace = export.meter.trace
    monkeypatch.setattr(
        export.meter, "trace", lambda *given: exported.append(given[1]) or trace(*given)
    )
    meter, model, tokenizer = OnnxMeter(), tiny_model(layout=layout), tiny_tokenizer()
    assert meter.milliseconds(model, tokenizer, tower) > 0
    assert meter.milliseconds(tiny_model(seed=1, layout=layout), tokenizer, tower) > 0
    assert len(exported) == 1
    assert len(exported[0]) == 2


def test_one_thread_and_one_input_of_what_is_asked_for_now(monkeypatch):
    made = []

    class Session(export.meter.ort.InferenceSession):
        def __init__(self, data, options, **rest):
            made.append(options)
            super().__init__(data, options, **rest)

        def run(self, names, given):
            (only,) = given.values()
            assert len(only) == 1
            return super().run(names, given)

    monkeypatch.setattr(export.meter.ort, "InferenceSession", Session)
    meter = OnnxMeter()
    meter.milliseconds(tiny_model(), tiny_tokenizer(), "text")
    meter.milliseconds(tiny_model(), tiny_tokenizer(), "image")
    assert len(made) == 2
    assert made[0].intra_op_num_threads == 1
    assert made[0].inter_op_num_threads == 1

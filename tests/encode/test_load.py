import sys
from pathlib import Path

import numpy as np
import pytest

from retrieval.encode.load import open_encoder
from retrieval.encode.onnx import OnnxEncoder
from retrieval.spec.errors import BundleError, CheckpointError, MissingExtraError


def test_a_bundle_and_its_checkpoint_are_one_model(tiny):
    bundle, checkpoint = open_encoder(str(tiny)), open_encoder(tiny.with_name("bundle.checkpoint"))
    assert isinstance(bundle, OnnxEncoder)
    assert type(checkpoint).__name__ == "TorchEncoder"
    assert bundle.fingerprint == checkpoint.fingerprint
    assert bundle.preprocessing == checkpoint.preprocessing
    np.testing.assert_allclose(
        bundle.encode_sentences(["snow"]), checkpoint.encode_sentences(["snow"]), atol=2e-3
    )
    assert checkpoint.encode_sentences([]).shape == (0, checkpoint.dim)


def test_anything_else_is_one_clear_line(tmp_path):
    with pytest.raises(BundleError, match="there is no model at"):
        open_encoder(tmp_path / "missing")
    with pytest.raises(BundleError, match="neither bundle.json .* nor config.json"):
        open_encoder(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="config.json"):
        open_encoder(tmp_path)


def test_a_checkpoint_without_torch_names_the_extra(tiny, monkeypatch):
    monkeypatch.delitem(sys.modules, "retrieval.encode.torch", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    checkpoint: Path = tiny.with_name("bundle.checkpoint")
    with pytest.raises(MissingExtraError, match=r"leanclip\[train\]"):
        open_encoder(checkpoint)
    assert open_encoder(tiny).name == "tiny"

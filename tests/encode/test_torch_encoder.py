from pathlib import Path

import numpy as np
import pytest
import torch

from retrieval.encode.torch import MAX_BATCH, TorchEncoder
from tests.tiny import DIM, SIZE, tiny_checkpoint

PIXELS = np.random.default_rng(0).integers(0, 256, (MAX_BATCH + 3, 3, SIZE, SIZE), dtype=np.uint8)
CONVOLUTIONS = {"kind": "timm", "backbones": [{"name": "resnet10t"}]}


@torch.inference_mode()
def test_it_gives_what_the_towers_give(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint(tmp_path / "model", image=CONVOLUTIONS)
    spec = checkpoint.config.preprocessing
    mean, std = (torch.tensor(one).view(1, 3, 1, 1) for one in (spec.mean, spec.std))
    expected = checkpoint.model.encode_image((torch.from_numpy(PIXELS) / 255 - mean) / std)
    encoder = TorchEncoder(checkpoint)
    found = encoder.encode_pixels(PIXELS)
    assert found.shape == (len(PIXELS), DIM)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
    assert encoder.encode_pixels(PIXELS[:0]).shape == (0, DIM)
    assert encoder.encode_sentences(["a dog", "a cat"]).shape == (2, DIM)


def test_threads_are_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    encoder = TorchEncoder(tiny_checkpoint(tmp_path / "model"), threads=before + 1)
    assert torch.get_num_threads() == before
    seen = []
    encode = encoder._model.encode_text

    def watched(ids: torch.Tensor) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return encode(ids)

    monkeypatch.setattr(encoder._model, "encode_text", watched)
    encoder.encode_sentences(["a dog"])
    assert seen == [before + 1]
    assert torch.get_num_threads() == before

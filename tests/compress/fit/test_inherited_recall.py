"""Recall of inherited weights equals that of the model that is cut out."""

from pathlib import Path

import numpy as np
import pytest
import torch

from retrieval.compress.elastic.extract import ordered
from retrieval.compress.fit.fitness import InheritedRecall
from retrieval.compress.fit.settings import Search
from retrieval.compress.fit.space import Space
from retrieval.compress.prune.select import indices
from retrieval.compress.scenes import write_scenes
from retrieval.corpora.pairs import flatten_captions, read_pairs
from retrieval.evaluate.recall import evaluate_retrieval
from retrieval.models.normalise import PixelNormaliser
from retrieval.models.surgery.shrink import shrink
from retrieval.vision.preprocess import load_pixels
from tests.tiny import tiny_model, tiny_tokenizer

BLOCKS = {"width": 32, "head_dim": 8, "layers": 2, "heads": 4, "neurons": 64}


@pytest.mark.parametrize("side", ["image", "text"])
def test_the_same_as_embedding_with_the_smaller_model(tmp_path: Path, side: str) -> None:
    pairs = read_pairs(write_scenes(tmp_path, count=30, seed=0, size=40))
    vit = {"kind": "vit", "patch": 8, "blocks": BLOCKS}
    source = ordered(tiny_model(image=vit, text={"blocks": BLOCKS}), None)
    space = Space(source, side, Search())
    keep = space.keep((0,) * len(space.genes))
    tokenizer = tiny_tokenizer()
    found = InheritedRecall(source.model, side, space.groups, tokenizer, pairs)
    small = shrink(source.model, indices(keep))
    spec = small.config.preprocessing
    pixels = np.stack([load_pixels(pair.image, spec) for pair in pairs])
    captions, owner = flatten_captions(pairs)
    with torch.no_grad():
        images = small.encode_image(PixelNormaliser(spec)(torch.from_numpy(pixels)))
        texts = small.encode_text(torch.from_numpy(tokenizer.batch(captions)).long())
    expected = evaluate_retrieval(images.numpy(), texts.numpy(), owner).mean_recall
    assert found(keep) == pytest.approx(expected, abs=0.02)
    assert found(keep) == found(keep)
    whole = space.keep(space.choices.largest)
    assert found(whole) != found(keep)

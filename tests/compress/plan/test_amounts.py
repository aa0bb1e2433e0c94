import json
from pathlib import Path

import pytest
from PIL import Image

from retrieval.compress.plan.amounts import count
from retrieval.compress.plan.sample import generate_sentences, make_sample
from retrieval.compress.recipe import Data
from retrieval.corpora.fetch.datasets import COCO
from retrieval.corpora.pairs import read_pairs
from retrieval.spec.errors import RecipeError
from tests.compress.small_runs import write_data


def test_data_that_are_here_are_counted(tmp_path: Path) -> None:
    files = write_data(tmp_path, count=8)
    data = Data(photos=(files["photos"],), sentences=(files["sentences"],), pairs=(files["pairs"],))
    amounts = count(data, 4)
    assert [one.photos for one in amounts.all] == [8, 0, 8]
    assert amounts.sentences[0].sentences == 20
    assert not amounts.missing
    sample = make_sample(amounts, tmp_path / "made", 4)
    assert not sample.generated
    assert not (tmp_path / "made").exists()
    written = read_pairs(sample.write_pairs(tmp_path / "sample.jsonl", 3))
    assert len(written) == 3
    assert all(len(pair.captions) == 5 for pair in written)


def test_a_known_data_set_that_is_missing_has_its_published_sizes(tmp_path: Path) -> None:
    pairs, dev = (tmp_path / "coco" / f"{split}.jsonl" for split in ("train", "dev"))
    amounts = count(Data(pairs=(pairs,), dev=dev), 4)
    assert (amounts.pairs[0].photos, amounts.pairs[0].sentences) == (113_287, 566_747)
    assert amounts.dev is not None
    assert amounts.dev.photos == 5_000
    sample = make_sample(amounts, tmp_path / "made", 2)
    assert sample.generated == ("photos of 640 x 480 pixels", "captions of 10 words")
    with Image.open(sample.photos[0]) as photo:
        assert photo.size == COCO.photo_size
    # As many bytes as a photo of that size has, within a factor of two.
    assert 0.5 < sample.photos[0].stat().st_size / COCO.photo_bytes < 2


@pytest.mark.parametrize("name", ["mine/train.jsonl", "coco/extra.jsonl", "coco/train"])
def test_missing_data_of_unknown_size_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeError, match="no such file or folder, and its size is not known"):
        count(Data(pairs=(tmp_path / name,)), 4)


def test_generated_sentences_differ_and_have_their_length() -> None:
    made = generate_sentences(50, 12)
    assert len(set(made)) == 50
    assert {len(one.split()) for one in made} == {12}
    assert json.loads(json.dumps(made)) == made

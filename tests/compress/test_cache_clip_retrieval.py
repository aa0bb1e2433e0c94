"""A cache is laid out as clip-retrieval does it, and that tool's own output is read."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retrieval.compress.cache.cache import TeacherCache
from retrieval.compress.cache.corpus import Corpus
from retrieval.spec.errors import CacheError
from tests.compress.small_caches import SENTENCES, build


@pytest.mark.parametrize("column_order", [["image_path", "caption"], ["caption", "image_path"]])
def test_output_of_clip_retrieval_is_read(tmp_path, column_order):
    """As its writer lays it out: 10 partitions, so two digits; extra columns from img2dataset."""
    random = np.random.default_rng(0)
    images, texts = random.normal(size=(2, 20, 16)).astype(np.float16)
    for folder in ("img_emb", "text_emb", "metadata"):
        (tmp_path / folder).mkdir()
    for part in range(10):
        rows = slice(2 * part, 2 * part + 2)
        np.save(tmp_path / f"img_emb/img_emb_{part:02}.npy", images[rows])
        np.save(tmp_path / f"text_emb/text_emb_{part:02}.npy", texts[rows])
        columns = {
            "image_path": [f"photos/{i}.jpg" for i in (2 * part, 2 * part + 1)],
            "caption": [f"caption {i}" for i in (2 * part, 2 * part + 1)],
        }
        table = pa.table({name: columns[name] for name in column_order} | {"width": [640, 480]})
        pq.write_table(table, tmp_path / f"metadata/metadata_{part:02}.parquet")
    cache = TeacherCache.open(tmp_path)
    assert cache.manifest is None
    assert cache.photos == [Path(f"photos/{i}.jpg") for i in range(20)]
    assert cache.sentences == [f"caption {i}" for i in range(20)]
    assert np.array_equal(cache.image_embeddings(), images)
    assert np.array_equal(cache.text_embeddings(), texts)
    assert cache.photo_of_sentence.tolist() == list(range(20))
    with pytest.raises(CacheError, match="something else"):
        build(Corpus.of_sentences(SENTENCES), tmp_path)


def test_photos_alone_from_clip_retrieval_are_read_and_mapped(tmp_path):
    vectors = np.ones((3, 4), np.float16)
    for folder in ("img_emb", "metadata"):
        (tmp_path / folder).mkdir()
    np.save(tmp_path / "img_emb/img_emb_0.npy", vectors)
    table = pa.table({"image_path": ["a", "b", "c"]})
    pq.write_table(table, tmp_path / "metadata/metadata_0.parquet")
    cache = TeacherCache.open(tmp_path)
    assert isinstance(cache.image_embeddings(), np.memmap)
    assert not cache.has_sentences and cache.sentences == []


def test_names_are_those_of_clip_retrieval(tmp_path):
    build(Corpus.of_sentences([str(i) for i in range(12)]), tmp_path / "out", shard_size=1)
    names = sorted(path.name for path in (tmp_path / "out/text_emb").iterdir())
    assert names == [f"text_emb_{i:02}.npy" for i in range(12)]
    table = pq.read_table(tmp_path / "out/metadata/metadata_07.parquet")
    assert table.to_pydict() == {"caption": ["7"]}

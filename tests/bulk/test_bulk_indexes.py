import faiss
import numpy as np
import pytest

from retrieval.bulk.exact import write_exact
from retrieval.bulk.ivfpq import read_index, write_merged, write_part, write_trained
from retrieval.bulk.plan import Plan, PlannedShard
from retrieval.bulk.tally import Tally
from retrieval.spec.errors import CacheError
from tests.bulk.bulk_photos import fill_folder, read_elsewhere

DIM = 16


@pytest.fixture
def arrays(tmp_path):
    """Three shards of different lengths."""
    numbers = np.random.default_rng(0)
    paths = []
    for place, rows in enumerate((400, 1, 250)):
        vectors = numbers.normal(size=(rows, DIM)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        paths.append(tmp_path / f"{place}.npy")
        np.save(paths[-1], vectors.astype(np.float16))
    return paths


def joined(arrays):
    return np.concatenate([np.load(path) for path in arrays]).astype(np.float32)


def test_an_exact_index_has_the_bytes_that_faiss_writes(tmp_path, arrays):
    seen = []
    rows = write_exact(arrays, DIM, tmp_path / "image.index", lambda *now: seen.append(now))
    assert (rows, seen[-1]) == (651, (651, 651))
    usual = faiss.IndexScalarQuantizer(
        DIM, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    usual.add(joined(arrays))
    assert (tmp_path / "image.index").read_bytes() == faiss.serialize_index(usual).tobytes()


def test_merged_parts_answer_as_one_index_filled_at_once(tmp_path, arrays):
    trained = tmp_path / "trained.faiss"
    write_trained(arrays, DIM, trained)
    parts = [path.with_suffix(".faiss") for path in arrays]
    for array, part in zip(arrays, parts, strict=True):
        write_part(trained, array, DIM, part)
    assert write_merged(trained, parts, tmp_path / "image.index") == 651
    merged, at_once = read_index(tmp_path / "image.index"), read_index(trained)
    vectors = joined(arrays)
    at_once.add(vectors)
    for index in (merged, at_once):
        index.nprobe = 8
    scores, ids = merged.search(vectors, 5)
    expected_scores, expected_ids = at_once.search(vectors, 5)
    np.testing.assert_array_equal(ids, expected_ids)
    np.testing.assert_array_equal(scores, expected_scores)


def test_another_kind_of_index_is_built_without_embedding_again(tmp_path, bundle, leanclip):
    photos = fill_folder(tmp_path / "photos", 300, size=8)
    arguments = ("embed", photos, tmp_path / "out", "--model", bundle, "--shard-size", 120)
    assert leanclip(*arguments, "--index", "none")[0] == 0
    assert not (tmp_path / "out" / "image.index").exists()
    status, output, _ = leanclip(*arguments, "--index", "ivfpq")
    assert status == 0
    assert "3 shards (0 embedded now)" in output
    found = read_elsewhere(tmp_path / "out")
    assert isinstance(faiss.downcast_index(found.index), faiss.IndexIVFPQ)
    assert found.index.ntotal == 300
    assert not list((tmp_path / "out" / "embedding").glob("ivfpq*"))
    assert leanclip(*arguments)[0] == 0
    exact = read_elsewhere(tmp_path / "out").index
    np.testing.assert_array_equal(exact.reconstruct(299), found.images[299].astype(np.float32))


def test_too_few_vectors_to_learn_from_is_one_line(tmp_path, arrays):
    with pytest.raises(CacheError, match="learns from 256 vectors or more, here are 251"):
        write_trained(arrays[1:], DIM, tmp_path / "trained.faiss")
    assert not (tmp_path / "trained.faiss").exists()


def test_an_array_of_another_model_is_named(tmp_path, arrays):
    np.save(arrays[1], np.zeros((2, DIM + 1), np.float16))
    with pytest.raises(CacheError, match=r"1\.npy holds float16 \(2, 17\)"):
        write_exact(arrays, DIM, tmp_path / "image.index")
    assert not (tmp_path / "image.index").exists()


def test_the_number_of_photos_in_unopened_tar_files_is_guessed():
    shards = [PlannedShard(source=f"{n}.tar", bytes=size) for n, size in enumerate((100, 300, 200))]
    plan = Plan(
        model="", fingerprint="", key="", dim=1, sources=(), shard_size=1, captions=False,
        fields=False, shards=(*shards, PlannedShard(source="folder", photos=7)),
    )  # fmt: skip
    tally = Tally(plan, [None] * 4)
    assert (tally.done, tally.total) == (0, None)
    tally.count(0, 4, 10)
    assert (tally.done, tally.total) == (4, 10 + 50 + 7)
    tally.count(1, 33, 33)
    tally.count(2, 0, 20)
    assert (tally.done, tally.total) == (37, 70)

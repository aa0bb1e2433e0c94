"""A cache refuses what does not fit it, and survives what is damaged."""

import os

import numpy as np
import pyarrow.parquet as pq
import pytest

from retrieval.compress.cache.cache import TeacherCache
from retrieval.compress.cache.corpus import Corpus
from retrieval.corpora.pairs import CaptionedPhoto
from retrieval.spec.errors import CacheError, CorpusError, EvaluationError
from tests.compress.small_caches import (
    SENTENCES,
    CountingEncoder,
    assert_holds_photos,
    build,
    some_photos,
)


def test_another_teacher_or_kind_of_input_is_refused(tmp_path):
    photos = some_photos(tmp_path / "photos")
    corpus, out = Corpus.of_photos(photos), tmp_path / "out"
    cache, encoder = build(corpus, out)
    other = CountingEncoder(seed=1)
    with pytest.raises(CacheError, match="another teacher: colour-0 .* not colour-1"):
        build(corpus, out, other)
    with pytest.raises(CacheError, match="embeddings of photos, not of sentences"):
        build(Corpus.of_sentences(SENTENCES), out)
    other_size = CountingEncoder()
    other_size.preprocessing = other_size.preprocessing.model_copy(update={"size": 24})
    with pytest.raises(CacheError, match="another preprocessing"):
        build(corpus, out, other_size)
    assert TeacherCache.open(out).photos == cache.photos
    assert_holds_photos(cache, photos)


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    build(Corpus.of_sentences(SENTENCES), out)
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "diary.txt").write_text("dear diary")
    with pytest.raises(CacheError, match="something else"):
        build(Corpus.of_sentences(SENTENCES), tmp_path / "holiday")
    with pytest.raises(CacheError, match="no teacher cache"):
        TeacherCache.open(tmp_path / "holiday")
    assert [path.name for path in (tmp_path / "holiday").iterdir()] == ["diary.txt"]


def test_unreadable_photos_are_skipped_listed_and_tried_again(tmp_path):
    photos = some_photos(tmp_path / "photos", 4)
    whole = photos[1].read_bytes()
    photos[1].write_bytes(whole[:40])
    photos[2].write_bytes(b"")
    corpus = Corpus.of_pairs([CaptionedPhoto(photo, ("a red car", photo.name)) for photo in photos])
    cache, _ = build(corpus, tmp_path / "out")
    assert [path for path, _ in cache.unreadable] == photos[1:3]
    assert all(reason for _, reason in cache.unreadable)
    assert (cache.built.computed, cache.built.skipped) == (7, 2)
    assert cache.sentences == ["a red car", "0.png", "a red car", "3.png"]
    assert_holds_photos(cache, [photos[0], photos[3]])

    cache, encoder = build(corpus, tmp_path / "out")
    assert encoder.photos_encoded == 0 and cache.built.skipped == 2

    stamp = photos[1].stat().st_mtime_ns
    photos[1].write_bytes(whole[:40] + whole[40:])
    os.utime(photos[1], ns=(stamp, stamp))
    cache, encoder = build(corpus, tmp_path / "out")
    assert encoder.photos_encoded == 1
    assert_holds_photos(cache, [photos[0], photos[1], photos[3]])


def test_nothing_readable_at_all_is_an_error(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"not a photo")
    with pytest.raises(CorpusError, match=r"none of the photos can be decoded.*a\.jpg"):
        build(Corpus.open(tmp_path), tmp_path / "out")


def test_a_teacher_that_returns_nan_is_stopped(tmp_path):
    class Broken(CountingEncoder):
        def encode_sentences(self, sentences):
            return super().encode_sentences(sentences) * np.nan

    with pytest.raises(EvaluationError, match="colour-0 returned embeddings that are not finite"):
        build(Corpus.of_sentences(SENTENCES), tmp_path / "out", Broken())


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda out: (out / "text_emb/text_emb_1.npy").write_bytes(b"x"), "text_emb_1.npy is dam"),
        (lambda out: (out / "text_emb/text_emb_1.npy").unlink(), "text_emb_1.npy is missing"),
        (
            lambda out: np.save(out / "text_emb/text_emb_1.npy", np.ones((9, 8), np.float16)),
            "metadata has 3 rows",
        ),
        (lambda out: (out / "metadata/metadata_1.parquet").write_bytes(b"x"), "is damaged"),
        (lambda out: (out / "metadata/metadata_1.parquet").unlink(), "1 of 2 shards"),
        (lambda out: (out / "cache.json").write_text("{"), "cache.json is damaged"),
        (lambda out: (out / "cache.json").write_text('{"format": 99}'), "format 99"),
    ],
)
def test_damage_is_found_and_named(tmp_path, damage, said):
    out = tmp_path / "out"
    build(Corpus.of_sentences(SENTENCES), out)
    damage(out)
    with pytest.raises(CacheError, match=said) as caught:
        TeacherCache.open(out).text_embeddings()
    assert "\n" not in str(caught.value)


def test_a_full_disk_leaves_the_earlier_cache_as_it_was(tmp_path, monkeypatch):
    out = tmp_path / "out"
    build(Corpus.of_sentences(SENTENCES), out)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", full)
        with pytest.raises(OSError, match="No space"):
            build(Corpus.of_sentences([*SENTENCES, "new"]), out)
    assert TeacherCache.open(out).sentences == SENTENCES
    cache, encoder = build(Corpus.of_sentences([*SENTENCES, "new"]), out)
    assert encoder.sentences_encoded == ["new"]
    assert cache.sentences == [*SENTENCES, "new"]

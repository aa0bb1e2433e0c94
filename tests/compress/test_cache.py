import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retrieval.compress.cache.build import build_cache
from retrieval.compress.cache.cache import TeacherCache, unfinished_folder
from retrieval.compress.cache.corpus import Corpus
from retrieval.corpora.pairs import CaptionedPhoto
from retrieval.encode.batches import encode_photos, encode_sentences
from retrieval.spec.errors import CacheError, CorpusError, EvaluationError
from tests.fakes import ColourEncoder, save_colour

SENTENCES = ["a red car", "a blue sea", "green grass", "a yellow sun", "white snow", "red and blue"]


class CountingEncoder(ColourEncoder):
    def __init__(self, seed=0):
        super().__init__(dim=8, seed=seed)
        self.sentences_encoded = []

    def encode_sentences(self, sentences):
        self.sentences_encoded += sentences
        return super().encode_sentences(sentences)


def some_photos(folder, count=7):
    return [save_colour(folder / f"{i}.png", (20 * i, 250 - 30 * i, 7 * i)) for i in range(count)]


def build(corpus, folder, encoder=None, shard_size=3, **options):
    encoder = encoder or CountingEncoder()
    cache = build_cache(encoder, corpus, folder, shard_size=shard_size, batch_size=2, **options)
    return cache, encoder


def assert_holds_photos(cache, photos):
    assert cache.photos == photos
    expected = encode_photos(CountingEncoder(), photos).embeddings.astype(np.float16)
    stored = TeacherCache.open(cache.folder).image_embeddings()
    assert stored.dtype == np.float16
    assert np.array_equal(stored, expected)


def test_photos_are_stored_in_order(tmp_path):
    photos = some_photos(tmp_path / "photos")
    seen = []
    cache, encoder = build(
        Corpus.open(tmp_path / "photos"),
        tmp_path / "out",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert_holds_photos(cache, photos)
    assert not cache.has_sentences
    assert (cache.built.computed, cache.built.reused, cache.built.skipped) == (7, 0, 0)
    assert encoder.photos_encoded == 7
    assert seen[-1] == (7, 7) and seen == sorted(seen)
    with pytest.raises(CacheError, match="no embeddings of sentences"):
        cache.text_embeddings()


def test_sentences_repeat_but_are_embedded_once(tmp_path):
    wanted = SENTENCES + SENTENCES[:2]
    cache, encoder = build(Corpus.of_sentences(wanted), tmp_path / "out")
    assert cache.sentences == wanted
    assert encoder.sentences_encoded == SENTENCES
    expected = encode_sentences(CountingEncoder(), wanted).astype(np.float16)
    assert np.array_equal(cache.text_embeddings(), expected)
    assert not cache.has_photos


def test_pairs_keep_which_photo_a_sentence_describes(tmp_path):
    photos = some_photos(tmp_path, 3)
    captions = [("one", "a red car", "two"), ("a blue sea",), ("three", "one")]
    corpus = Corpus.of_pairs(list(map(CaptionedPhoto, photos, captions)))
    # Shards of two rows cut the first photo's captions apart.
    cache, encoder = build(corpus, tmp_path / "out", shard_size=2)
    assert_holds_photos(cache, photos)
    assert cache.sentences == ["one", "a red car", "two", "a blue sea", "three", "one"]
    assert cache.photo_of_sentence.tolist() == [0, 0, 0, 1, 2, 2]
    assert encoder.photos_encoded == 3 and len(encoder.sentences_encoded) == 5
    assert (cache.built.computed, cache.built.reused) == (8, 0)


def test_nothing_is_computed_or_written_when_nothing_changed(tmp_path):
    some_photos(tmp_path / "photos")
    build(Corpus.open(tmp_path / "photos"), tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    cache, encoder = build(Corpus.open(tmp_path / "photos"), tmp_path / "out")
    assert encoder.photos_encoded == 0
    assert (cache.built.computed, cache.built.reused) == (0, 7)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}


def test_changed_inputs_recompute_only_what_changed(tmp_path):
    folder = tmp_path / "photos"
    photos = some_photos(folder)
    build(Corpus.open(folder), tmp_path / "out")
    photos[1].unlink()
    save_colour(photos[2], (1, 2, 3), size=40)
    photos[3].rename(folder / "moved.png")
    os.utime(photos[4], (1, 1))
    save_colour(folder / "0-new.png", (9, 9, 200), size=41)
    cache, encoder = build(Corpus.open(folder), tmp_path / "out")
    assert encoder.photos_encoded == 2, "the changed and the new one"
    assert (cache.built.computed, cache.built.reused) == (2, 5)
    assert_holds_photos(cache, sorted(folder.iterdir()))


def test_changed_sentences_recompute_only_what_changed(tmp_path):
    build(Corpus.of_sentences(SENTENCES), tmp_path / "out")
    wanted = ["new", *SENTENCES[3:], "newer", *SENTENCES[:2]]
    cache, encoder = build(Corpus.of_sentences(wanted), tmp_path / "out")
    assert encoder.sentences_encoded == ["new", "newer"]
    assert cache.sentences == wanted
    expected = encode_sentences(CountingEncoder(), wanted).astype(np.float16)
    assert np.array_equal(cache.text_embeddings(), expected)


def test_a_copied_corpus_is_recognised_by_content(tmp_path):
    some_photos(tmp_path / "photos")
    build(Corpus.open(tmp_path / "photos"), tmp_path / "out")
    shutil.copytree(tmp_path / "photos", tmp_path / "copy", copy_function=shutil.copyfile)
    cache, encoder = build(Corpus.open(tmp_path / "copy"), tmp_path / "out")
    assert encoder.photos_encoded == 0
    assert_holds_photos(cache, sorted((tmp_path / "copy").iterdir()))


KILLED_AT_RENAME = """
import os, signal, sys
from pathlib import Path
from retrieval.compress.cache.build import build_cache
from retrieval.compress.cache.corpus import Corpus
from tests.fakes import ColourEncoder

left = int(sys.argv[1])

def kill(event, arguments):
    global left
    if event == "os.rename":
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(kill)
corpus = Corpus.open(Path(sys.argv[2]))
build_cache(ColourEncoder(dim=8), corpus, Path(sys.argv[3]), shard_size=3, batch_size=2)
"""


@pytest.mark.parametrize("renewal", [False, True])
def test_a_kill_at_any_moment_loses_at_most_one_shard(tmp_path, renewal):
    folder = tmp_path / "photos"
    photos = some_photos(folder)
    if renewal:
        build(Corpus.of_photos(photos[:5]), tmp_path / "earlier")
    # A build renames: manifest, two files for each of three shards, manifest, folder.
    moments = [1, 3, 8, 9, 10] if renewal else [1, 2, 3, 5, 7, 8, 9]
    for moment in moments:
        out = tmp_path / f"out{moment}"
        if renewal:
            shutil.copytree(tmp_path / "earlier", out)
        killed = subprocess.run(
            [sys.executable, "-c", KILLED_AT_RENAME, str(moment), str(folder), str(out)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL, f"there is no rename number {moment}"
        whole = len(list(unfinished_folder(out).glob("metadata/metadata_*.parquet")))
        kept = min(7, max(3 * whole, 5 if renewal else 0))
        cache, encoder = build(Corpus.open(folder), out)
        assert encoder.photos_encoded == 7 - kept
        assert_holds_photos(cache, photos)
        files = {path.name for path in out.rglob("*") if path.is_file()}
        shards = {f"{kind}_{i}" for kind in ("metadata", "img_emb") for i in range(3)}
        assert {name.partition(".")[0] for name in files} == {"cache", *shards}
        assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_interrupted_build_keeps_shards_and_says_that_it_is_unfinished(tmp_path):
    photos = some_photos(tmp_path / "photos")

    class Interrupted(CountingEncoder):
        def encode_pixels(self, pixels):
            if self.photos_encoded >= 3:
                raise KeyboardInterrupt
            return super().encode_pixels(pixels)

    with pytest.raises(KeyboardInterrupt):
        build(Corpus.of_photos(photos), tmp_path / "out", Interrupted())
    with pytest.raises(CacheError, match=r"not finished \(1 shards"):
        TeacherCache.open(tmp_path / "out")
    _, encoder = build(Corpus.of_photos(photos), tmp_path / "out")
    assert encoder.photos_encoded == 4


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

"""A teacher embeds everything once; what earlier runs left is used again."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from retrieval.compress.cache.cache import TeacherCache, unfinished_folder
from retrieval.compress.cache.corpus import Corpus
from retrieval.corpora.pairs import CaptionedPhoto
from retrieval.encode.batches import encode_sentences
from retrieval.spec.errors import CacheError
from tests.compress.small_caches import (
    SENTENCES,
    CountingEncoder,
    assert_holds_photos,
    build,
    some_photos,
)
from tests.fakes import save_colour


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

"""Caches of a teacher that counts what it embeds."""

import numpy as np

from retrieval.compress.cache.build import build_cache
from retrieval.compress.cache.cache import TeacherCache
from retrieval.encode.batches import encode_photos
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

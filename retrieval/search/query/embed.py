"""The one vector that a query's terms make together."""

import numpy as np

from retrieval.encode.protocol import Embeddings, Encoder
from retrieval.search.query.parts import Example, Query
from retrieval.spec.errors import QueryError
from retrieval.vision.frames import load_frames


def embed_query(query: Query, encoder: Encoder) -> Embeddings:
    """The weighted sum of the terms' embeddings, of length one; ``(1, dim)``.

    Raises:
        QueryError: The query has no terms, or they cancel each other out.
        PhotoError: A photo to compare with cannot be read.
    """
    total = np.zeros((1, encoder.dim), np.float32)
    for term in query.terms:
        if isinstance(term.content, Example):
            embedding = _look_of(term.content, encoder)
        else:
            embedding = encoder.encode_sentences([term.content.text])
        total += np.float32(term.weight) * embedding
    length = float(np.linalg.norm(total))
    # Of terms that cancel out, only the rounding errors are left.
    if length < 1e-4:
        raise QueryError("the terms of this query cancel each other out; change a weight")
    return total / np.float32(length)


def _look_of(example: Example, encoder: Encoder) -> Embeddings:
    """What a photo looks like, or a video on the whole; ``(1, dim)``."""
    frames = load_frames(example.path, encoder.preprocessing)
    embeddings = encoder.encode_pixels(frames.pixels)
    if len(embeddings) == 1:
        return embeddings
    mean = embeddings.mean(axis=0, keepdims=True)
    look: Embeddings = mean / np.linalg.norm(mean)
    return look

"""A teacher looks at random views of photos; which crop gave which vector is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from retrieval.compress.cache.plan import PhotoItem, PhotoKey
from retrieval.compress.data.views import (
    Pixels,
    View,
    ViewRules,
    draw_view,
    photo_size,
    show_view,
)
from retrieval.encode.batches import Advance, finite, loaded_ahead
from retrieval.encode.protocol import Embeddings, Encoder
from retrieval.spec.errors import PhotoError
from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.decode import open_photo

_BATCHES_AHEAD = 2


@dataclass(frozen=True, slots=True)
class EncodedViews:
    """Embeddings of the views whose photos could be read."""

    embeddings: Embeddings
    """``(len(items), dim)``."""
    items: list[PhotoItem]
    """What each row is."""
    views: list[View]
    """What the teacher saw for each row."""
    unreadable: dict[PhotoKey, str]
    """Why each of the other photos could not be decoded."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """Views of one photo, as the teacher takes them."""

    items: list[PhotoItem]
    views: list[View]
    pixels: list[Pixels]


def encode_views(
    encoder: Encoder,
    items: Sequence[PhotoItem],
    rules: ViewRules,
    *,
    batch_size: int,
    advance: Advance,
) -> EncodedViews:
    """Embed random views; a photo is decoded once for all views of it that follow each other.

    Args:
        encoder: The teacher. Whatever its resize mode, it sees the whole view, stretched to
            its own input size, as the student will.
        items: Views; each has its seed.
        rules: How far they may go.
        batch_size: Views that the teacher takes at a time.
        advance: Called with the number of views that were just finished.

    Raises:
        EvaluationError: The teacher returned NaN or an infinite number.
    """
    groups = [list(group) for _, group in groupby(items, key=lambda item: item.photo)]
    found = EncodedViews(np.empty((0, encoder.dim), np.float32), [], [], {})
    rows: list[Embeddings] = [found.embeddings]
    waiting: list[Pixels] = []
    spec = encoder.preprocessing
    ahead = max(2, batch_size * _BATCHES_AHEAD * len(groups) // max(1, len(items)))
    shown = loaded_ahead(groups, lambda group: _shown(group, spec, rules), ahead)
    for group, one in zip(groups, shown, strict=True):
        if isinstance(one, PhotoError):
            found.unreadable[group[0].photo] = str(one)
            advance(len(group))
            continue
        found.items.extend(one.items)
        found.views.extend(one.views)
        waiting += one.pixels
        while len(waiting) >= batch_size:
            batch, waiting = waiting[:batch_size], waiting[batch_size:]
            rows.append(finite(encoder, encoder.encode_pixels(np.stack(batch))))
            advance(len(batch))
    if waiting:
        rows.append(finite(encoder, encoder.encode_pixels(np.stack(waiting))))
        advance(len(waiting))
    return EncodedViews(np.concatenate(rows), found.items, found.views, found.unreadable)


def _shown(group: list[PhotoItem], spec: Preprocessing, rules: ViewRules) -> _Shown:
    photo = open_photo(
        Path(group[0].photo.path),
        target=spec.size,
        # The student's orientation: a box means nothing on a photo that is turned otherwise.
        exif_orientation=rules.exif_orientation,
        fill=spec.fill,
    )
    size = photo_size(photo)
    views = [
        draw_view(size, rules, item.view.seed, item.view.may_mirror)
        for item in group
        if item.view is not None
    ]
    pixels = [show_view(photo, view, spec.size, spec.interpolation) for view in views]
    return _Shown(group, views, pixels)

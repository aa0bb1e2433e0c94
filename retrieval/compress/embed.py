"""Embeddings of whole corpora by a model in training, without gradients or noise."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from retrieval.compress.data.inputs import channels_last
from retrieval.compress.data.photos import WholePhotos
from retrieval.compress.data.tokens import Ids, trimmed
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.normalise import PixelNormaliser
from retrieval.models.timm_tower import TimmImageTower

_PHOTOS_AT_ONCE = 64
_SENTENCES_AT_ONCE = 256


@torch.no_grad()
def embed_photos(model: DualEncoder, photos: Sequence[Path], *, workers: int) -> Tensor:
    """Float32 ``(len(photos), dim)`` on the CPU, of length one."""
    return _over_photos(model, photos, model.encode_image, workers)


@torch.no_grad()
def embed_features(
    model: DualEncoder, tower: TimmImageTower, photos: Sequence[Path], *, workers: int
) -> Tensor:
    """Float32 ``(len(photos), features)``: what the model's tower has before its projection."""
    return _over_photos(model, photos, tower.features, workers)


@torch.no_grad()
def embed_ids(model: DualEncoder, ids: Ids) -> Tensor:
    """Float32 ``(rows, dim)`` on the CPU, of length one, for token ids ``(rows, context)``."""
    device = next(model.parameters()).device
    # Sorted by length, most batches are short; the order is restored at the end.
    order = (ids != 0).sum(axis=1).argsort(kind="stable")
    result = torch.empty(len(ids), model.config.embedding_dim)
    for start in range(0, len(ids), _SENTENCES_AT_ONCE):
        rows = order[start : start + _SENTENCES_AT_ONCE]
        some = trimmed(ids[rows], model.config.text)
        result[rows] = model.encode_text(some.to(device)).float().cpu()
    return result


def _over_photos(
    model: DualEncoder,
    photos: Sequence[Path],
    function: Callable[[Tensor], Tensor],
    workers: int,
) -> Tensor:
    spec = model.config.preprocessing
    device = next(model.parameters()).device
    normalise = PixelNormaliser(spec).to(device)
    batches = WholePhotos(photos, spec).batches(_PHOTOS_AT_ONCE, workers)
    return torch.cat(
        [function(channels_last(normalise(pixels.to(device)))).float().cpu() for pixels in batches]
    )

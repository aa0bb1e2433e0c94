"""Embeddings of whole corpora by a model in training, without gradients or noise.

A tower that is frozen gives the same embeddings of the same photos in every evaluation, and
in every run that goes on from the same checkpoint. So they are remembered by its weights.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from retrieval.compress.cache.plan import PhotoKey
from retrieval.compress.data.inputs import channels_last
from retrieval.compress.data.photos import WholePhotos
from retrieval.compress.data.tokens import Ids, trimmed
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.normalise import PixelNormaliser
from retrieval.models.timm_tower import TimmImageTower
from retrieval.spec.preprocessing import Preprocessing

_PHOTOS_AT_ONCE = 64
_SENTENCES_AT_ONCE = 256
_REMEMBERED = 2
"""Corpora of photos: the one that is trained on and the one of dev."""
_LARGEST_REMEMBERED = 256_000_000
"""Bytes of embeddings of one corpus."""

_memory: dict[str, Tensor] = {}


@torch.no_grad()
def embed_photos(model: DualEncoder, photos: Sequence[Path], *, workers: int) -> Tensor:
    """Float32 ``(len(photos), dim)`` on the CPU, of length one; not to be changed in place."""
    if any(parameter.requires_grad for parameter in model.image.parameters()):
        return _over_photos(model, photos, model.encode_image, workers)
    key = _key(model.image, model.config.preprocessing, photos)
    found = _memory.pop(key, None)
    if found is None:
        # Evaluations run in inference mode, whose tensors no training step could use.
        with torch.inference_mode(False), torch.no_grad():
            found = _over_photos(model, photos, model.encode_image, workers)
    if found.nbytes <= _LARGEST_REMEMBERED:
        _memory[key] = found
    while len(_memory) > _REMEMBERED:
        del _memory[next(iter(_memory))]
    return found


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


def _key(tower: nn.Module, spec: Preprocessing, photos: Sequence[Path]) -> str:
    """Names weights, statistics, what photos go through, and the photos."""
    digest = hashlib.sha256(spec.model_dump_json().encode())
    for name, tensor in tower.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    for photo in photos:
        digest.update(f"{PhotoKey.of(photo)}\n".encode())
    return digest.hexdigest()

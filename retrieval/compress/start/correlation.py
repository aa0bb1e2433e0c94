"""Closed-form start: regularised canonical correlation of photo features and token bags."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval.compress.data.tokens import Ids
from retrieval.compress.start.settings import CanonicalCorrelation
from retrieval.language.tokenizer import Tokenizer

# The product of two sparse matrices goes through a format that torch calls beta.
warnings.filterwarnings("ignore", message="Sparse CSR tensor support", category=UserWarning)

# Scale at which token embeddings start; the projection behind them makes up for it.
_TOKEN_RMS = 0.05


@dataclass(frozen=True)
class Projections:
    """Linear maps of both sides into one space.

    Attributes:
        image: ``(features, dim)``.
        token: One row per token, ``(vocabulary, dim)``.
        text_offset: Added to a sentence's weighted sum of rows, ``(dim,)``.
    """

    image: Tensor
    token: Tensor
    text_offset: Tensor


def canonical_correlation(
    features: Tensor,
    bags: Tensor,
    photo_of_caption: NDArray[np.int64],
    settings: CanonicalCorrelation,
    dim: int,
) -> Projections:
    """The ``dim`` pairs of directions in which photos and captions correlate most.

    Solves regularised CCA through the whitened cross-covariance; only the image side is
    decomposed, the (larger) text side is inverted by Cholesky. Directions are weighted by
    their correlation to ``settings.power``: what correlates weakly is mostly noise.

    Args:
        features: Centred photo features, ``(photos, features)``.
        bags: Token counts of each caption over the root of its length, sparse
            ``(captions, vocabulary)``, as `token_bags` makes them.
        photo_of_caption: Row in ``features`` of each caption.
        settings: Ridges (as shares of the mean variance) and power.
        dim: Directions to keep; at most the number of features.
    """
    frequency = bags.sum(dim=0).to_dense()
    mean_bag = frequency / len(bags)
    # Rare tokens carry more of a caption's meaning; the weight is undone in the map.
    rarity = torch.log1p(len(bags) / (frequency + 1))
    counts = torch.bincount(torch.from_numpy(photo_of_caption), minlength=len(features)).float()
    together = torch.sparse.mm(_of_photos(bags, photo_of_caption, len(features)).T, features).T
    cross = (together - torch.outer(counts @ features, mean_bag)) * rarity / len(bags)
    text = torch.sparse.mm(bags.T, bags).to_dense() / len(bags) - torch.outer(mean_bag, mean_bag)
    text = rarity[:, None] * text * rarity
    _add_ridge(text, settings.text_ridge)
    image = (features * counts[:, None]).T @ features / counts.sum()
    _add_ridge(image, settings.image_ridge)
    values, vectors = torch.linalg.eigh(image.double())
    whitening = (vectors * values.clamp(min=1e-12).rsqrt()) @ vectors.T
    solved = torch.cholesky_solve(cross.T.double(), torch.linalg.cholesky(text.double()))
    between = whitening @ cross.double() @ solved @ whitening
    squared, directions = torch.linalg.eigh((between + between.T) / 2)
    squared = squared[-dim:].flip(0).clamp(min=1e-9)
    directions = directions[:, -dim:].flip(1)
    correlation = squared.sqrt()
    weight = correlation**settings.power
    image_map = whitening @ directions
    text_map = solved @ image_map / correlation
    token = rarity[:, None] * (text_map * weight)
    return Projections(
        image=(image_map * weight).float(),
        token=token.float(),
        text_offset=-(mean_bag.double() @ token).float(),
    )


def token_bags(ids: Ids, tokenizer: Tokenizer) -> Tensor:
    """Sparse ``(captions, vocabulary)`` counts over the root of the caption's length."""
    spec = tokenizer.spec
    ends = (ids == spec.end_id).argmax(axis=1)
    is_word = (np.arange(ids.shape[1]) < ends[:, None]) & (np.arange(ids.shape[1]) > 0)
    rows, columns = np.nonzero(is_word)
    lengths = is_word.sum(axis=1).clip(min=1)
    values = torch.from_numpy((1 / np.sqrt(lengths))[rows]).float()
    indices = torch.from_numpy(np.stack([rows, ids[rows, columns].astype(np.int64)]))
    size = (len(ids), spec.vocabulary_size)
    return torch.sparse_coo_tensor(indices, values, size, check_invariants=False).coalesce()


def factorised(projections: Projections, width: int) -> tuple[Tensor, Tensor]:
    """Token table as ``(vocabulary, width) @ (width, dim)``, by its main singular directions."""
    left, values, right = torch.linalg.svd(projections.token, full_matrices=False)
    rank = min(width, len(values))
    embedding = torch.zeros(len(left), width)
    projection = torch.zeros(width, right.shape[1])
    embedding[:, :rank] = left[:, :rank] * values[:rank]
    projection[:rank] = right[:rank]
    scale = _TOKEN_RMS / embedding.square().mean().sqrt().clamp(min=1e-12)
    return embedding * scale, projection / scale


def _of_photos(bags: Tensor, photo_of_caption: NDArray[np.int64], photos: int) -> Tensor:
    """Sum of the bags of each photo's captions, sparse ``(photos, vocabulary)``."""
    rows, columns = bags.indices()
    indices = torch.stack([torch.from_numpy(photo_of_caption)[rows], columns])
    size = (photos, bags.shape[1])
    return torch.sparse_coo_tensor(indices, bags.values(), size, check_invariants=False).coalesce()


def _add_ridge(covariance: Tensor, share: float) -> None:
    diagonal = covariance.diagonal()
    diagonal += share * diagonal.mean()

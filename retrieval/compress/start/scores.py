"""How much the units of a source matter, before any training."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from retrieval.compress.data.tokens import trimmed
from retrieval.compress.importance.importance import Context
from retrieval.compress.importance.magnitude import Magnitude
from retrieval.compress.importance.moebert import MoEBERT
from retrieval.compress.importance.taylor import Taylor
from retrieval.compress.recipe import Data
from retrieval.corpora.pairs import read_pairs
from retrieval.corpora.photos import find_photos
from retrieval.corpora.sentences import read_sentences
from retrieval.models.checkpoint import Checkpoint
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.normalise import PixelNormaliser
from retrieval.models.surgery.units import Group
from retrieval.spec.errors import PhotoError, RecipeError
from retrieval.spec.preprocessing import Preprocessing
from retrieval.spec.tower import Tower
from retrieval.vision.preprocess import load_pixels

T = TypeVar("T")

_AT_ONCE = 64
# Where CLIP's own training starts and stays near; it only weighs near misses against far ones.
_TEMPERATURE = 0.07


class Samples:
    """A few of the sentences and photos that a recipe trains on, read when asked for.

    Args:
        data: Where they lie.
        seed: Chooses among them.
    """

    def __init__(self, data: Data, seed: int) -> None:
        self.seed = seed
        self._data = data

    def embedded(self, source: Checkpoint, side: Tower, count: int) -> Iterator[Tensor]:
        """A source's embeddings of ``count`` samples with gradients, batch by batch.

        Raises:
            RecipeError: The recipe's data holds no two samples of that side.
        """
        return self._sentences(source, count) if side == "text" else self._photos(source, count)

    def _sentences(self, source: Checkpoint, count: int) -> Iterator[Tensor]:
        files = [*self._data.sentences, *self._data.pairs]
        # Of two copies of a sentence one would have to be told from the other.
        sentences = list(dict.fromkeys(text for file in files for text in read_sentences(file)))
        ids = source.tokenizer.batch(self._shuffled(sentences, "text")[:count])
        for start in range(0, len(ids), _AT_ONCE):
            batch = trimmed(ids[start : start + _AT_ONCE], source.config.text)
            yield source.model.encode_text(batch)

    def _photos(self, source: Checkpoint, count: int) -> Iterator[Tensor]:
        photos = [path for folder in self._data.photos for path in find_photos(folder)]
        photos += [pair.image for file in self._data.pairs for pair in read_pairs(file)]
        spec = source.config.preprocessing
        normalise = PixelNormaliser(spec)
        readable = _readable_pixels(self._shuffled(photos, "image"), spec)
        some = list(islice(readable, count))
        for start in range(0, len(some), _AT_ONCE):
            yield source.model.encode_image(normalise(torch.stack(some[start : start + _AT_ONCE])))

    def _shuffled(self, items: Sequence[T], side: Tower) -> list[T]:
        if len(items) < 2:
            raise RecipeError(
                f"start.{side}_layers: the recipe's data holds nothing to score importance on; "
                "choose criterion: magnitude"
            )
        order = torch.randperm(len(items), generator=torch.Generator().manual_seed(self.seed))
        return [items[index] for index in order.tolist()]


def magnitude_scores(model: DualEncoder, groups: Sequence[Group]) -> dict[str, Tensor]:
    """Norm of each unit's weights, by group."""
    context = Context(groups=groups, model=model, keep=1.0, total=1)
    return Magnitude().start(context).scores()


def taylor_scores(
    model: DualEncoder, groups: Sequence[Group], embeddings: Iterable[Tensor]
) -> dict[str, Tensor]:
    """First-order change of the model's own distillation loss without each unit (ETD-Impt).

    Heads and neurons are scored sentence by sentence (photo by photo), hidden dimensions by
    the product of all their weights and gradients in a batch.

    Args:
        model: Left without gradients.
        groups: To be scored.
        embeddings: The model's, with gradients, each ``(batch, dim)`` and computed only when
            it is asked for.
    """
    gated = [group for group in groups if group.gates]
    others = [group for group in groups if not group.gates]
    watching = [
        criterion.start(Context(groups=some, model=model, keep=1.0, total=1))
        for criterion, some in ((MoEBERT(), gated), (Taylor(weights="all"), others))
        if some
    ]
    with torch.enable_grad():
        for batch in embeddings:
            self_distillation(batch).backward()  # type: ignore[no-untyped-call]
            for one in watching:
                one.before_step(0.0)
            model.zero_grad(set_to_none=True)
    scores: dict[str, Tensor] = {}
    for one in watching:
        one.close()
        scores |= one.scores()
    return scores


def self_distillation(embeddings: Tensor) -> Tensor:
    """Contrastive distillation with the model as its own teacher, a scalar.

    ``-log softmax(s_i . t_j / temperature)`` at ``j = i``, where ``t`` is ``s`` held fixed:
    unlike a distance, it has a gradient even there, towards telling the batch's items apart.

    Args:
        embeddings: ``(batch, dim)``, of length one.
    """
    logits = embeddings @ embeddings.detach().T / _TEMPERATURE
    return F.cross_entropy(logits, torch.arange(len(embeddings), device=embeddings.device))


def _readable_pixels(photos: Iterable[Path], spec: Preprocessing) -> Iterator[Tensor]:
    """uint8 ``(3, size, size)`` of every photo that can be decoded."""
    for photo in photos:
        with suppress(PhotoError):
            yield torch.from_numpy(np.ascontiguousarray(load_pixels(photo, spec)))

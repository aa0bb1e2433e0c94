"""Dev recall of a shape that inherits a checkpoint's weights, without training."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from retrieval.compress.data.inputs import channels_last
from retrieval.compress.data.photos import WholePhotos
from retrieval.compress.data.tokens import trimmed
from retrieval.compress.elastic.modifier import smaller
from retrieval.compress.prune.select import Keep
from retrieval.corpora.pairs import CaptionedPhoto, flatten_captions
from retrieval.evaluate.recall import evaluate_retrieval
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.normalise import PixelNormaliser
from retrieval.models.surgery.units import Group
from retrieval.spec.tower import Tower

_PHOTOS_AT_ONCE = 64
_SENTENCES_AT_ONCE = 256


class InheritedRecall:
    """Mean recall of a tower with some of its units, against the whole other tower.

    What the tower is given is decoded once, and the other tower's embeddings are computed
    once.

    Args:
        model: Whole.
        side: The tower that is cut.
        groups: Its units.
        tokenizer: Makes ids of the captions.
        pairs: What to judge by.
    """

    def __init__(
        self,
        model: DualEncoder,
        side: Tower,
        groups: Sequence[Group],
        tokenizer: Tokenizer,
        pairs: Sequence[CaptionedPhoto],
    ) -> None:
        self._tower = getattr(model.eval(), side)
        self._side = side
        self._groups = groups
        captions, self._owner = flatten_captions(pairs)
        ids = tokenizer.batch(captions)
        sentences = (
            trimmed(ids[first : first + _SENTENCES_AT_ONCE], model.config.text)
            for first in range(0, len(ids), _SENTENCES_AT_ONCE)
        )
        photos = _photos(model, pairs)
        own, others = (photos, sentences) if side == "image" else (sentences, photos)
        other = model.text if side == "image" else model.image
        with torch.inference_mode():
            self._given = list(own)
            self._others = _embedded(other, others)

    def __call__(self, keep: Keep) -> float:
        """Mean of recall@1, 5 and 10 both ways, between 0 and 1.

        Args:
            keep: For each group by name, boolean ``(units,)``.
        """
        with torch.inference_mode(), smaller(self._groups, keep):
            own = _embedded(self._tower, self._given)
        images, texts = (own, self._others) if self._side == "image" else (self._others, own)
        return evaluate_retrieval(images.numpy(), texts.numpy(), self._owner).mean_recall


def _photos(model: DualEncoder, pairs: Sequence[CaptionedPhoto]) -> Iterator[Tensor]:
    spec = model.config.preprocessing
    normalise = PixelNormaliser(spec)
    batches = WholePhotos([pair.image for pair in pairs], spec).batches(_PHOTOS_AT_ONCE, 2)
    return (channels_last(normalise(pixels)) for pixels in batches)


def _embedded(tower: Callable[[Tensor], Tensor], batches: Iterable[Tensor]) -> Tensor:
    return torch.cat([F.normalize(tower(batch), dim=-1).float() for batch in batches])

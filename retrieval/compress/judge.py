"""Dev recall of a model in training, alone or against its teacher's other side."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from retrieval.compress.embed import embed_ids, embed_photos
from retrieval.compress.teaching.bridge import Bridge
from retrieval.compress.teaching.teacher import Captioned
from retrieval.evaluate.recall import evaluate_retrieval
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.dual_encoder import DualEncoder


class Judge:
    """Embeds the dev split with present weights and gives recall@k both ways.

    Args:
        model: The student.
        tokenizer: Its tokenizer.
        dev: Captioned photos that are not trained on, or None: then there are no figures.
        workers: Threads that decode photos.
    """

    def __init__(
        self, model: DualEncoder, tokenizer: Tokenizer, dev: Captioned | None, *, workers: int
    ) -> None:
        self.model = model
        self.dev = dev
        self.workers = workers
        self.ids = None if dev is None else tokenizer.batch(dev.sentences)

    def student(self) -> Mapping[str, Any]:
        """Both towers of the student."""
        if self.dev is None:
            return {}
        return self._figures(self._images(), self._texts())

    def image_tower(self, bridge: Bridge) -> Mapping[str, Any]:
        """The student's photos against the teacher's sentences, in the teacher's space."""
        if self.dev is None or self.dev.texts is None:
            return {}
        return self._figures(_crossed(bridge, self._images()), self.dev.texts.float())

    def text_tower(self, bridge: Bridge) -> Mapping[str, Any]:
        """The teacher's photos against the student's sentences, in the teacher's space."""
        if self.dev is None or self.dev.images is None:
            return {}
        return self._figures(self.dev.images.float(), _crossed(bridge, self._texts()))

    def _images(self) -> Tensor:
        assert self.dev is not None
        return embed_photos(self.model, self.dev.photos, workers=self.workers)

    def _texts(self) -> Tensor:
        assert self.ids is not None
        return embed_ids(self.model, self.ids)

    def _figures(self, images: Tensor, texts: Tensor) -> Mapping[str, Any]:
        assert self.dev is not None
        found = evaluate_retrieval(images.numpy(), texts.numpy(), self.dev.photo_of_sentence)
        return {"score": found.mean_recall, **found.to_dict()}


@torch.no_grad()
def _crossed(bridge: Bridge, embeddings: Tensor) -> Tensor:
    device = next(iter(bridge.parameters()), embeddings).device
    crossed: Tensor = bridge(embeddings.to(device))
    return crossed.float().cpu()

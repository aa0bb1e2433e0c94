"""What the stages of a recipe learn from, with the teacher's embeddings of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval.compress.data.views import may_mirror
from retrieval.compress.recipe import Data
from retrieval.compress.teaching.teacher import Captioned, Teacher, read_captioned
from retrieval.corpora.captions import read_caption_groups
from retrieval.spec.errors import RecipeError


@dataclass(frozen=True)
class Photos:
    """Photos of stage 1.

    Attributes:
        paths: Those of folders, then those of pairs.
        mirror: Whether each may be flipped left to right.
        targets: The teacher's embeddings, float16 ``(photos, dim)``.
    """

    paths: list[Path]
    mirror: list[bool]
    targets: Tensor


@dataclass(frozen=True)
class Sentences:
    """Sentences of stage 1.

    Attributes:
        texts: Those of files, then the captions of pairs.
        targets: The teacher's embeddings, float16 ``(sentences, dim)``.
    """

    texts: list[str]
    targets: Tensor


class Materials:
    """The data of a recipe; each part is read, and cached by the teacher, when it is needed.

    Args:
        data: Where it lies.
        teacher: Embeds it; None when nothing is distilled.
    """

    def __init__(self, data: Data, teacher: Teacher | None) -> None:
        self.data = data
        self.teacher = teacher
        self._captioned: dict[tuple[Path, ...], Captioned] = {}

    def pairs(self) -> Captioned:
        """Captioned photos to train on."""
        return self._load(self.data.pairs)

    def captions(self) -> tuple[list[str], NDArray[np.int64]]:
        """Captions without photos, and for each the number of the photo that it describes."""
        groups = [group for file in self.data.captions for group in read_caption_groups(file)]
        captions = [caption for group in groups for caption in group]
        return captions, np.repeat(np.arange(len(groups)), [len(group) for group in groups])

    def dev(self) -> Captioned | None:
        """Captioned photos that choose the best epoch, if the recipe names any."""
        return None if self.data.dev is None else self._load((self.data.dev,))

    def photos(self) -> Photos:
        """Photos of folders and of pairs."""
        assert self.teacher is not None
        paths, targets = self.teacher.photos(self.data.photos)
        mirror = [True] * len(paths)
        if self.data.pairs:
            pairs = self.pairs()
            assert pairs.images is not None
            paths, mirror = paths + pairs.photos, mirror + mirrors(pairs)
            targets = torch.cat([targets, pairs.images])
        return Photos(paths, mirror, targets)

    def sentences(self) -> Sentences:
        """Sentences of files and captions of pairs."""
        assert self.teacher is not None
        texts, targets = self.teacher.sentences(self.data.sentences)
        if self.data.pairs:
            pairs = self.pairs()
            assert pairs.texts is not None
            texts, targets = texts + pairs.sentences, torch.cat([targets, pairs.texts])
        return Sentences(texts, targets)

    def _load(self, files: tuple[Path, ...]) -> Captioned:
        if files not in self._captioned:
            teacher = self.teacher
            found = read_captioned(files) if teacher is None else teacher.captioned(files)
            if len(found.photos) < 2:
                raise RecipeError(f"{files[0]}: one photo is not enough to contrast with others")
            self._captioned[files] = found
        return self._captioned[files]


def mirrors(pairs: Captioned) -> list[bool]:
    """Whether each photo may be flipped left to right without making a caption false."""
    captions: list[list[str]] = [[] for _ in pairs.photos]
    for sentence, owner in zip(pairs.sentences, pairs.photo_of_sentence, strict=True):
        captions[owner].append(sentence)
    return [may_mirror(one) for one in captions]

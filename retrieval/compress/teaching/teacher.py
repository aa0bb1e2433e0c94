"""The teacher of a run: opened once, asked through its cache."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval.compress.cache.build import build_cache
from retrieval.compress.cache.cache import TeacherCache
from retrieval.compress.cache.corpus import Corpus
from retrieval.compress.data.views import ViewRules
from retrieval.compress.distributed.group import own_device
from retrieval.compress.distributed.ranks import from_first
from retrieval.compress.loop.reporter import Reporter
from retrieval.compress.start.settings import STOCK
from retrieval.corpora.pairs import flatten_captions, read_pairs
from retrieval.encode.load import open_encoder
from retrieval.encode.protocol import Encoder
from retrieval.encode.torch import TorchEncoder
from retrieval.models.checkpoint import CONFIG, stored_fingerprint
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.stock import load_stock
from retrieval.spec.bundle import MANIFEST, read_bundle
from retrieval.spec.errors import RecipeError
from retrieval.spec.files import sha256_json
from retrieval.spec.model import ModelConfig


@dataclass(frozen=True)
class Captioned:
    """Captioned photos, with the teacher's embeddings where there is a teacher.

    Attributes:
        photos: Each once.
        sentences: All captions, grouped by photo in the order of ``photos``.
        photo_of_sentence: ``(sentences,)``.
        images: The teacher's, float16 ``(photos, dim)``, or None.
        texts: The teacher's, float16 ``(sentences, dim)``, or None.
    """

    photos: list[Path]
    sentences: list[str]
    photo_of_sentence: NDArray[np.int64]
    images: Tensor | None = None
    texts: Tensor | None = None


def open_teacher(source: str) -> Encoder:
    """A bundle, a checkpoint, ``default``, or a stock model (``open_clip:``, ``hf:``).

    All but a bundle embed where stages train.
    """
    device = str(own_device())
    if source.startswith(STOCK):
        return TorchEncoder(load_stock(source), device=device)
    return open_encoder(source, device=device)


class Teacher:
    """A teacher and the folder in which its caches lie, one for each corpus.

    Args:
        source: As `open_teacher` takes it.
        folder: Caches are kept in a folder of the teacher's fingerprint below it, so that
            several runs share them and two teachers never mix.
        reporter: Told while a cache is built.
    """

    def __init__(self, source: str, folder: Path, reporter: Reporter) -> None:
        self.source = source
        self.folder = folder
        self.reporter = reporter

    @cached_property
    def encoder(self) -> Encoder:
        """The teacher itself."""
        return open_teacher(self.source)

    @cached_property
    def fingerprint(self) -> str:
        """Names the teacher's space; found without loading weights where that is possible."""
        return from_first(self._find_fingerprint)

    def _find_fingerprint(self) -> str:
        folder = Path(self.source)
        if (folder / MANIFEST).is_file():
            return read_bundle(folder).fingerprint
        if (folder / CONFIG).is_file():
            return stored_fingerprint(folder)
        return self.encoder.fingerprint

    def model_like(self, student: ModelConfig, towers: Sequence[str]) -> DualEncoder:
        """The teacher as modules, whose towers see the same tokens or patches as a student's.

        Raises:
            RecipeError: The teacher is a bundle, or reads other tokens or other patches.
        """
        encoder = self.encoder
        if not isinstance(encoder, TorchEncoder):
            raise RecipeError(
                f"losses.hidden needs the teacher's modules, but {self.source} is a bundle; "
                "name its checkpoint"
            )
        config = encoder.checkpoint.config
        if "text" in towers and config.tokens != student.tokens:
            raise RecipeError(
                "losses.hidden needs a student that reads its teacher's tokens; "
                "set student.vocabulary to the teacher's"
            )
        if "image" in towers and config.preprocessing != student.preprocessing:
            raise RecipeError(
                "losses.hidden needs a student with its teacher's student.preprocessing"
            )
        # A copy: the encoder's own goes on embedding, without whatever watches this one.
        return copy.deepcopy(encoder.checkpoint.model)

    def photos(self, folders: Sequence[Path]) -> tuple[list[Path], Tensor]:
        """Readable photos of folders, and their embeddings, float16 ``(n, dim)``."""
        caches = [self._cache(folder) for folder in folders]
        paths = [path for cache in caches for path in cache.photos]
        return paths, _stack([cache.image_embeddings() for cache in caches])

    def sentences(self, files: Sequence[Path]) -> tuple[list[str], Tensor]:
        """Sentences of files, and their embeddings, float16 ``(n, dim)``."""
        caches = [self._cache(file) for file in files]
        texts = [text for cache in caches for text in cache.sentences]
        return texts, _stack([cache.text_embeddings() for cache in caches])

    def captioned(self, files: Sequence[Path]) -> Captioned:
        """Captioned photos of files, with embeddings of both sides."""
        caches = [self._cache(file) for file in files]
        photos: list[Path] = []
        owners: list[NDArray[np.int64]] = []
        for cache in caches:
            owners.append(cache.photo_of_sentence + len(photos))
            photos += cache.photos
        return Captioned(
            photos=photos,
            sentences=[text for cache in caches for text in cache.sentences],
            photo_of_sentence=np.concatenate(owners),
            images=_stack([cache.image_embeddings() for cache in caches]),
            texts=_stack([cache.text_embeddings() for cache in caches]),
        )

    def views(self, source: Path, count: int, rules: ViewRules) -> TeacherCache:
        """The cache of ``count`` random views of each photo of a folder or of captioned photos.

        Views by other rules lie in a cache of their own.
        """
        corpus = Corpus.open(source).views(count, rules)
        name = f"{_name(source)}-views-{sha256_json(rules.model_dump(mode='json'))[:8]}"
        return self._build(source, corpus, name)

    def _cache(self, source: Path) -> TeacherCache:
        return self._build(source, Corpus.open(source), _name(source))

    def _build(self, source: Path, corpus: Corpus, name: str) -> TeacherCache:
        self.reporter.begin(f"teacher cache of {source}", len(corpus.rows))
        folder = self.folder / self.fingerprint[:12] / name
        built: list[TeacherCache] = []

        def build() -> None:
            progress = self.reporter.advance
            built.append(build_cache(self.encoder, corpus, folder, progress=progress))

        # The first process alone opens the teacher and embeds.
        from_first(build)
        return built[0] if built else TeacherCache.open(folder)


def _stack(parts: Sequence[NDArray[np.float16]]) -> Tensor:
    # Nothing, whose width only the teacher knows, may be joined with anything.
    return torch.from_numpy(np.concatenate(parts)) if parts else torch.empty(0).half()


def _name(source: Path) -> str:
    # Two files of one name in different folders are different corpora.
    return f"{source.stem}-{sha256_json(str(source.absolute()))[:8]}"


def read_captioned(files: Sequence[Path]) -> Captioned:
    """Captioned photos of files, without a teacher."""
    pairs = [pair for file in files for pair in read_pairs(file)]
    sentences, owner = flatten_captions(pairs)
    return Captioned([pair.image for pair in pairs], sentences, np.array(owner, np.int64))

"""How much data a recipe learns from: counted where it lies, or as its data set is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval.compress.recipe import Data
from retrieval.corpora.captions import read_caption_groups
from retrieval.corpora.fetch.datasets import DATASETS, Dataset
from retrieval.corpora.pairs import flatten_captions, is_pairs_name, read_pairs
from retrieval.corpora.photos import find_photos
from retrieval.corpora.sentences import read_sentences
from retrieval.corpora.shards import is_shards_name
from retrieval.spec.errors import RecipeError

ORDINARY_PHOTO = (640, 480)
ORDINARY_WORDS = 10
CAPTIONS_A_PHOTO = 5
"""In a sample, as in COCO and Flickr30k."""


@dataclass(frozen=True)
class Amount:
    """One corpus of a recipe.

    Attributes:
        path: Folder or file.
        photos: How many photos.
        sentences: How many captions or sentences.
        dataset: The data set whose published sizes these are; None when they were counted.
        some_photos: A few photos that are here, for the profile.
        some_sentences: A few sentences.
    """

    path: Path
    photos: int
    sentences: int
    dataset: Dataset | None = None
    some_photos: tuple[Path, ...] = ()
    some_sentences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Amounts:
    """All corpora of a recipe."""

    photos: Sequence[Amount]
    sentences: Sequence[Amount]
    pairs: Sequence[Amount]
    captions: Sequence[Amount]
    """Without photos; ``photos`` counts how many they describe."""
    dev: Amount | None

    @property
    def all(self) -> list[Amount]:
        """Every one of them."""
        dev = [] if self.dev is None else [self.dev]
        return [*self.photos, *self.sentences, *self.pairs, *self.captions, *dev]

    @property
    def missing(self) -> list[Amount]:
        """Those that are not here."""
        return [one for one in self.all if one.dataset is not None]


def count(data: Data, some: int) -> Amounts:
    """Count the data of a recipe.

    Args:
        data: What the recipe names.
        some: How many photos the profile may ask for, and five sentences for each.

    Raises:
        RecipeError: A file is missing and is not of a data set whose sizes are known.
        CorpusError: A file is here and malformed.
    """
    return Amounts(
        photos=[_photos(path, some) for path in data.photos],
        sentences=[_sentences(path, some) for path in data.sentences],
        pairs=[_pairs(path, some) for path in data.pairs],
        captions=[_captions(path, some) for path in data.captions],
        dev=None if data.dev is None else _pairs(data.dev, some),
    )


def _photos(path: Path, some: int) -> Amount:
    if not _is_here(path):
        return _published(path)
    found = find_photos(path)
    return Amount(path, len(found), 0, some_photos=_files(found[:some]))


def _sentences(path: Path, some: int) -> Amount:
    if is_pairs_name(path):
        return _pairs(path, some)
    if not _is_here(path):
        return _published(path)
    found = read_sentences(path)
    return Amount(path, 0, len(found), some_sentences=tuple(found[: CAPTIONS_A_PHOTO * some]))


def _pairs(path: Path, some: int) -> Amount:
    if not _is_here(path):
        return _published(path)
    found = read_pairs(path)
    sentences, _ = flatten_captions(found)
    return Amount(
        path,
        len(found),
        len(sentences),
        some_photos=_files([pair.image for pair in found[:some]]),
        some_sentences=tuple(sentences[: CAPTIONS_A_PHOTO * some]),
    )


def _captions(path: Path, some: int) -> Amount:
    if not _is_here(path):
        return _published(path)
    groups = read_caption_groups(path)
    sentences = [caption for group in groups for caption in group]
    wanted = CAPTIONS_A_PHOTO * some
    return Amount(path, len(groups), len(sentences), some_sentences=tuple(sentences[:wanted]))


def _files(photos: Sequence[Path]) -> tuple[Path, ...]:
    # Photos inside shards have no file of their own that a sample could name.
    return tuple(photo.absolute() for photo in photos if photo.is_file())


def _is_here(path: Path) -> bool:
    return path.exists() or is_shards_name(path)


def _published(path: Path) -> Amount:
    """The sizes of ``DATASET/SPLIT.jsonl``, which is not here."""
    dataset = DATASETS.get(path.parent.name)
    split = None if dataset is None else dataset.splits.get(path.stem)
    if dataset is None or split is None or path.suffix != ".jsonl":
        known = ", ".join(f"{name}/train.jsonl" for name in DATASETS)
        raise RecipeError(
            f"{path}: no such file or folder, and its size is not known either (that of {known} "
            "and their other splits would be); bring the data first"
        )
    return Amount(path, split.photos, split.captions, dataset)

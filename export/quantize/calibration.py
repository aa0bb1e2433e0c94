"""Real photos and sentences, from which precisions with fixed scales learn their ranges."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from retrieval.corpora.pairs import is_pairs_name, read_pairs
from retrieval.corpora.photos import find_photos
from retrieval.corpora.sentences import read_sentences
from retrieval.encode.batches import loaded_ahead
from retrieval.language.tokenizer import Tokenizer
from retrieval.spec.errors import CorpusError, PhotoError
from retrieval.spec.preprocessing import Preprocessing
from retrieval.spec.tower import Tower
from retrieval.vision.preprocess import load_pixels

PHOTOS = 128
"""Photos that a calibration takes; ranges hardly move with more."""
SENTENCES = 256
_AHEAD = 16

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Calibration:
    """What each tower is calibrated with, as hosts have it.

    Attributes:
        pixels: uint8 RGB ``(photos, 3, size, size)``, or None.
        tokens: int32 ids ``(sentences, context)``, or None.
        unreadable: One sentence for each photo that was left out.
    """

    pixels: NDArray[np.uint8] | None = None
    tokens: NDArray[np.int32] | None = None
    unreadable: tuple[str, ...] = ()

    def of(self, tower: Tower) -> NDArray[np.generic] | None:
        """Inputs of one tower."""
        return self.pixels if tower == "image" else self.tokens


def load_calibration(
    source: Path | None,
    sentences: Path | None,
    *,
    preprocessing: Preprocessing,
    tokenizer: Tokenizer,
    seed: int = 0,
    photos: int = PHOTOS,
) -> Calibration:
    """Read a random sample of photos and of sentences; the same for the same seed.

    Photos that cannot be decoded are left out and told.

    Args:
        source: A folder of photos, or captioned photos (``.jsonl``), whose captions are the
            sentences unless ``sentences`` names others.
        sentences: A text file with one on each line, or captioned photos.
        preprocessing: What the image tower takes.
        tokenizer: Makes what the text tower takes.
        seed: Of the sample.
        photos: How many, at most.

    Raises:
        CorpusError: A file or folder is missing, malformed or without a photo, or no photo
            in it can be decoded.
    """
    random = np.random.default_rng(seed)
    pixels: NDArray[np.uint8] | None = None
    unreadable: tuple[str, ...] = ()
    if source is not None:
        paths = _paths(source)
        pixels, unreadable = _decoded(source, _sample(paths, photos, random), preprocessing)
        if sentences is None and is_pairs_name(source):
            sentences = source
    tokens = None
    if sentences is not None:
        tokens = tokenizer.batch(_sample(read_sentences(sentences), SENTENCES, random))
    return Calibration(pixels, tokens, unreadable)


def _paths(source: Path) -> list[Path]:
    if source.is_dir() or not is_pairs_name(source):
        return find_photos(source)
    return [pair.image for pair in read_pairs(source)]


def _sample(items: Sequence[_Item], most: int, random: np.random.Generator) -> list[_Item]:
    return [items[place] for place in random.permutation(len(items))[:most]]


def _decoded(
    source: Path, paths: list[Path], spec: Preprocessing
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    found = list(loaded_ahead(paths, lambda path: load_pixels(path, spec), _AHEAD))
    unreadable = tuple(str(one) for one in found if isinstance(one, PhotoError))
    pixels = [one for one in found if not isinstance(one, PhotoError)]
    if not pixels:
        raise CorpusError(
            f"{source}: none of {len(paths)} photos can be decoded to calibrate with; "
            f"the first: {unreadable[0]}"
        )
    return np.stack(pixels), unreadable

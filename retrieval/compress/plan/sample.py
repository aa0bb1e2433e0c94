"""A handful of captioned photos for a profile: real ones, or generated ones of the right size."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from retrieval.compress.plan.amounts import (
    CAPTIONS_A_PHOTO,
    ORDINARY_PHOTO,
    ORDINARY_WORDS,
    Amounts,
)

_QUALITY = 90
_COARSE = 16
_NOISE = 12
_WORDS = """
a the two man woman child dog cat red blue white black small large old young near on in with behind
street table field water snow grass bicycle horse train kitchen sitting standing running holding
riding looking wearing playing group people
"""


@dataclass(frozen=True)
class Sample:
    """Photos and sentences of a profile.

    Attributes:
        photos: Files.
        sentences: Five for each photo.
        generated: What of it was made up.
    """

    photos: Sequence[Path]
    sentences: Sequence[str]
    generated: tuple[str, ...]

    def write_pairs(self, path: Path, photos: int) -> Path:
        """Write captioned photos that name the first ``photos`` of the sample."""
        lines = []
        for number, photo in enumerate(self.photos[:photos]):
            first = CAPTIONS_A_PHOTO * number
            captions = self.sentences[first : first + CAPTIONS_A_PHOTO]
            lines.append(json.dumps({"image": str(photo), "captions": captions}) + "\n")
        path.write_text("".join(lines), "utf-8")
        return path


def make_sample(amounts: Amounts, folder: Path, photos: int) -> Sample:
    """Take what is here; generate the rest, photos as large as those of the data set.

    Args:
        amounts: What the recipe has.
        folder: Where generated photos go.
        photos: How many.
    """
    found = [photo for one in amounts.all for photo in one.some_photos][:photos]
    sentences = [text for one in amounts.all for text in one.some_sentences]
    datasets = [one.dataset for one in amounts.missing if one.dataset is not None]
    size = datasets[0].photo_size if datasets else ORDINARY_PHOTO
    words = datasets[0].words if datasets else ORDINARY_WORDS
    generated = []
    if len(found) < photos:
        generated.append(f"photos of {size[0]} x {size[1]} pixels")
        found = generate_photos(folder, photos, size)
    wanted = CAPTIONS_A_PHOTO * photos
    if len(sentences) < wanted:
        generated.append(f"captions of {words} words")
        sentences = generate_sentences(wanted, words)
    return Sample(found, sentences[:wanted], tuple(generated))


def generate_photos(folder: Path, count: int, size: tuple[int, int]) -> list[Path]:
    """Write JPEG files with shapes and grain, so that they decode about as fast as photos."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    width, height = size
    paths = []
    for number in range(count):
        coarse = generator.integers(0, 256, (height // _COARSE, width // _COARSE, 3), np.uint8)
        smooth = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
        grain = generator.integers(-_NOISE, _NOISE + 1, (height, width, 3))
        pixels = np.clip(np.asarray(smooth, np.int16) + grain, 0, 255).astype(np.uint8)
        paths.append(folder / f"{number:04}.jpg")
        Image.fromarray(pixels).save(paths[-1], quality=_QUALITY)
    return paths


def generate_sentences(count: int, words: int) -> list[str]:
    """Sentences that mean nothing and are as long as captions; no two are alike."""
    generator = np.random.default_rng(0)
    return [
        " ".join([*generator.choice(_WORDS.split(), words - 1), str(number)])
        for number in range(count)
    ]

"""Stand-ins for parts that are slow or large, with behaviour a test can predict."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from retrieval.language.tokenizer import Tokenizer
from retrieval.spec.preprocessing import Preprocessing

COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "white": (255, 255, 255),
}


class ColourEncoder:
    """Embeds a photo by its mean colour, and a sentence by the colour words in it.

    Another ``seed`` is another model: its vectors mean something else.
    """

    def __init__(self, dim: int = 64, seed: int = 0) -> None:
        self.name = f"colour-{seed}"
        self.fingerprint = f"colour-{seed}-{dim}"
        self.dim = dim
        self.preprocessing = Preprocessing(size=16)
        self.tokenizer = Tokenizer.clip(context_length=16)
        self.photos_encoded = 0
        self._projection = np.random.default_rng(seed).normal(size=(3, dim))

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.photos_encoded += len(pixels)
        return self._embed(pixels.mean(axis=(2, 3)))

    def encode_sentences(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        named = [
            [COLOURS[word] for word in sentence.lower().split() if word in COLOURS]
            for sentence in sentences
        ]
        return self._embed(np.array([np.mean(c or [(128, 128, 128)], axis=0) for c in named]))

    def _embed(self, colours: NDArray[np.floating]) -> NDArray[np.float32]:
        vectors = (colours / 255 - 0.45) @ self._projection
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def save_colour(path: Path, colour: str | tuple[int, int, int], size: int = 24) -> Path:
    """Write a photo of one colour; its folder is made. No two have the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = os.fsencode(path).hex()
    text = PngInfo()
    text.add_text("name", name)
    photo = Image.new("RGB", (size, size), COLOURS.get(colour, colour))  # type: ignore[arg-type]
    photo.save(path, pnginfo=text, comment=name)
    return path

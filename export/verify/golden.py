"""``golden.json``: inputs with expected outputs, with which every host tests itself."""

import base64
import itertools
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from export.verify import golden_inputs
from retrieval.encode.protocol import Encoder
from retrieval.spec.base import Spec
from retrieval.spec.bundle import Precision, check_golden_file, read_bundle
from retrieval.spec.errors import BundleError
from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.preprocess import load_pixels

GRID = 4
"""Photos are compared as means over 4 x 4 fields: enough to see a wrong turn, crop, filter
or order of channels, without asking for the same JPEG decoder."""
GRID_TOLERANCE = 3.0
"""Largest difference of a field's mean, of 255."""

MIN_COSINE: dict[Precision, float] = {
    "fp32": 0.9999,
    "fp16": 0.999,
    "int8": 0.98,
    "int8-static": 0.97,
    "mixed": 0.98,
    "int4": 0.95,
    "pal8": 0.98,
    "pal6": 0.97,
    "pal4": 0.9,
}

Vector = tuple[float, ...]


class GoldenSentence(Spec):
    """A sentence, its ids and its embedding."""

    text: str
    ids: tuple[int, ...]
    embedding: Vector


class GoldenPhoto(Spec):
    """A photo file, means of its preprocessed pixels and its embedding."""

    name: str
    jpeg: str
    """The file in base64; some carry an EXIF orientation."""
    grid: tuple[tuple[tuple[float, float, float], ...], ...]
    """``grid[row][column]``: mean red, green and blue of a field, 0 to 255."""
    embedding: Vector


class Pattern(Spec):
    """Computed pixels: a tower's test that needs no decoder and no resize."""

    formula: str = golden_inputs.PATTERN
    embedding: Vector


class Golden(Spec):
    """Expected outputs come from PyTorch in float32."""

    format: Literal[1] = 1
    min_cosine: dict[Precision, float] = MIN_COSINE
    """Smallest cosine to the expected embedding, by the precision of the file that runs."""
    grid_tolerance: float = GRID_TOLERANCE
    sentences: Annotated[tuple[GoldenSentence, ...], Field(min_length=1)]
    photos: Annotated[tuple[GoldenPhoto, ...], Field(min_length=1)]
    pattern: Pattern

    def limit(self, precision: Precision) -> float:
        """Smallest cosine that a file of this precision may have."""
        # Files of bundles that are older than a precision know nothing of it.
        return self.min_cosine.get(precision, MIN_COSINE[precision])


def make_golden(encoder: Encoder) -> Golden:
    """Run the inputs through an encoder that is the truth: PyTorch in float32."""
    jpegs = dict(golden_inputs.photos())
    pixels = golden_pixels(jpegs.values(), encoder.preprocessing)
    vectors = encoder.encode_pixels(pixels)
    photos = [
        GoldenPhoto(
            name=name,
            jpeg=base64.b64encode(jpeg).decode(),
            grid=field_means(picture).round(2).tolist(),
            embedding=_rounded(vector),
        )
        for (name, jpeg), picture, vector in zip(
            jpegs.items(), pixels[:-1], vectors[:-1], strict=True
        )
    ]
    return Golden(
        sentences=_golden_sentences(encoder),
        photos=tuple(photos),
        pattern=Pattern(embedding=_rounded(vectors[-1])),
    )


def golden_pixels(jpegs: Iterable[bytes], spec: Preprocessing) -> NDArray[np.uint8]:
    """The photos and then the pattern as `retrieval.vision` makes pixels; one batch."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        for jpeg in jpegs:
            path.write_bytes(jpeg)
            rows.append(load_pixels(path, spec, draft=False))
    rows.append(golden_inputs.pattern(spec.size))
    return np.stack(rows)


def field_means(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean colour of each of ``GRID`` x ``GRID`` fields; ``(GRID, GRID, 3)``."""
    edges = np.linspace(0, pixels.shape[-1], GRID + 1).astype(int)
    return np.array(
        [
            [
                pixels[:, top:bottom, left:right].mean(axis=(1, 2))
                for left, right in itertools.pairwise(edges)
            ]
            for top, bottom in itertools.pairwise(edges)
        ]
    )


def read_golden(folder: Path) -> Golden:
    """Read a bundle's golden file.

    Raises:
        BundleError: The bundle or its golden file is missing, damaged or malformed.
    """
    path = check_golden_file(folder, read_bundle(folder))
    try:
        return Golden.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}; export it again") from error
    except ValidationError as error:
        raise BundleError(f"{path} is malformed; export the bundle again") from error


def _golden_sentences(encoder: Encoder) -> tuple[GoldenSentence, ...]:
    texts = golden_inputs.SENTENCES
    ids = encoder.tokenizer.batch(texts).tolist()
    vectors = encoder.encode_sentences(texts)
    return tuple(
        GoldenSentence(text=text, ids=row, embedding=_rounded(vector))
        for text, row, vector in zip(texts, ids, vectors, strict=True)
    )


def _rounded(vector: NDArray[np.float32]) -> Vector:
    return tuple(round(float(value), 6) for value in vector)

"""The golden self-test, as Python runs it; every other host runs the same one."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from export.verify.golden import Golden, field_means, golden_pixels, read_golden
from retrieval.encode.protocol import Embeddings, Encoder
from retrieval.spec.base import Spec
from retrieval.spec.bundle import Precision, read_bundle
from retrieval.spec.tower import TOWERS, Tower

LENGTH_TOLERANCE = 1e-3
"""How far the length of an embedding may be from one."""


class GoldenReport(Spec):
    """What a check found.

    Attributes:
        min_cosine: Smallest cosine to the expected embeddings, by tower.
        failures: One sentence for each input that missed its tolerance; empty is a pass.
    """

    min_cosine: dict[str, float]
    failures: tuple[str, ...]


def check_golden(
    encoder: Encoder, folder: Path, precisions: Mapping[Tower, Precision] | None = None
) -> GoldenReport:
    """Run a bundle's golden inputs through an encoder of that bundle.

    Args:
        encoder: Runs the bundle's ONNX files, or anything that claims to equal them.
        folder: The bundle.
        precisions: Of the towers to check; by default both, of the ONNX files that
            `Bundle.file` picks.

    Raises:
        BundleError: The bundle or its golden file is damaged.
    """
    golden, bundle = read_golden(folder), read_bundle(folder)
    precisions = precisions or {tower: bundle.file(tower, "onnx").precision for tower in TOWERS}
    check = {"image": _check_photos, "text": _check_sentences}
    cosines: dict[str, float] = {}
    failures: list[str] = []
    for tower, precision in precisions.items():
        found, missed = check[tower](encoder, golden, golden.limit(precision))
        cosines[tower] = min(found)
        failures += missed
    return GoldenReport(min_cosine=cosines, failures=tuple(failures))


def _check_photos(encoder: Encoder, golden: Golden, limit: float) -> tuple[list[float], list[str]]:
    jpegs = [base64.b64decode(photo.jpeg) for photo in golden.photos]
    pixels = golden_pixels(jpegs, encoder.preprocessing)
    failures = []
    for photo, picture in zip(golden.photos, pixels[:-1], strict=True):
        difference = float(np.abs(field_means(picture) - np.array(photo.grid)).max())
        if difference > golden.grid_tolerance:
            failures.append(
                f"photo {photo.name}: pixels differ by {difference:.1f} of 255, "
                f"at most {golden.grid_tolerance} allowed"
            )
    names = [f"photo {photo.name}" for photo in golden.photos] + ["the pattern"]
    expected = [photo.embedding for photo in golden.photos] + [golden.pattern.embedding]
    cosines = _cosines(encoder.encode_pixels(pixels), expected)
    return cosines, failures + _too_far(names, cosines, limit)


def _check_sentences(
    encoder: Encoder, golden: Golden, limit: float
) -> tuple[list[float], list[str]]:
    texts = [sentence.text for sentence in golden.sentences]
    names = [f"sentence {text[:40]!r}" for text in texts]
    ids = encoder.tokenizer.batch(texts).tolist()
    failures = [
        f"{name}: other token ids"
        for name, row, sentence in zip(names, ids, golden.sentences, strict=True)
        if tuple(row) != sentence.ids
    ]
    expected = [sentence.embedding for sentence in golden.sentences]
    cosines = _cosines(encoder.encode_sentences(texts), expected)
    return cosines, failures + _too_far(names, cosines, limit)


def _too_far(names: list[str], cosines: list[float], limit: float) -> list[str]:
    # `not >=` rather than `<`, so that NaN fails.
    return [
        f"{name}: cosine {cosine:.5f}, at least {limit} expected"
        for name, cosine in zip(names, cosines, strict=True)
        if not cosine >= limit
    ]


def _cosines(found: Embeddings, expected: Sequence[Sequence[float]]) -> list[float]:
    """Cosine of each row; NaN for an embedding whose length is not one."""
    truth = np.array(expected)
    lengths = np.linalg.norm(found, axis=1)
    cosines = (found * truth).sum(axis=1) / np.linalg.norm(truth, axis=1)
    cosines[np.abs(lengths - 1) > LENGTH_TOLERANCE] = np.nan
    return [float(cosine) for cosine in cosines]

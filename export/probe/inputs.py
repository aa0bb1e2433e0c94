"""The golden inputs in the form that a tower file takes, and what must come out."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.probe.result import GoldenCheck
from export.verify.golden import MIN_COSINE, Golden, golden_pixels, read_golden
from export.verify.golden_check import LENGTH_TOLERANCE
from retrieval.encode.onnx import as_input
from retrieval.spec.bundle import Bundle, Interface, Precision
from retrieval.spec.preprocessing import Preprocessing
from retrieval.spec.tower import Tower

_FAILURES_KEPT = 3


@dataclass(frozen=True)
class GoldenRows:
    """Golden inputs of one tower.

    Attributes:
        names: What to call each in a complaint.
        rows: uint8 RGB pixels ``(inputs, 3, size, size)``, or int32 ids ``(inputs, context)``.
        expected: PyTorch's embeddings, ``(inputs, dim)``.
        least: Smallest cosine that passes, by precision.
    """

    names: tuple[str, ...]
    rows: NDArray[np.generic]
    expected: NDArray[np.float64]
    least: dict[Precision, float]

    def judge(self, found: NDArray[np.float32], precision: Precision) -> GoldenCheck:
        """Compare what a device returned for `rows`.

        Args:
            found: Its embeddings; of another shape or not of length one is a failure.
            precision: Of the file that ran.
        """
        least = self.least[precision]
        if found.shape != self.expected.shape:
            failure = f"the file returned {found.shape}, expected {self.expected.shape}"
            return _check(None, least, [failure])
        cosines = (found * self.expected).sum(1) / np.linalg.norm(self.expected, axis=1)
        # `not <=` rather than `>`, so that NaN fails.
        wrong = ~(np.abs(np.linalg.norm(found, axis=1) - 1) <= LENGTH_TOLERANCE)
        failures = [
            f"{name}: the embedding is not of length one"
            if bad
            else f"{name}: cosine {cosine:.5f}, at least {least} expected"
            for name, cosine, bad in zip(self.names, cosines, wrong, strict=True)
            if bad or not cosine >= least
        ]
        worst = None if wrong.any() else round(float(cosines.min()), 6)
        return _check(worst, least, failures)


def golden_rows(folder: Path, bundle: Bundle) -> dict[Tower, GoldenRows]:
    """Golden inputs of both towers of a bundle.

    Raises:
        BundleError: Its golden file is missing or malformed.
    """
    golden = read_golden(folder)
    return {"image": _photos(golden, bundle.preprocessing), "text": _sentences(golden)}


def in_file_form(
    rows: NDArray[np.generic], spec: Preprocessing, interface: Interface | None
) -> NDArray[np.generic]:
    """Rows as a file's only input takes them.

    Args:
        rows: As in `GoldenRows`.
        spec: Of the bundle.
        interface: Of the file; None is a file from before it was recorded, which takes what
            ``spec`` says.
    """
    if rows.ndim == 2:
        return np.ascontiguousarray(rows, np.int32)
    ready = as_input(rows.astype(np.uint8), spec)
    if interface is None:
        return ready
    if interface.layout not in (None, spec.layout):
        ready = ready.transpose((0, 2, 3, 1) if interface.layout == "NHWC" else (0, 3, 1, 2))
    kind = np.float32 if interface.type == "float32" else np.uint8
    return np.ascontiguousarray(ready, kind)


def _photos(golden: Golden, spec: Preprocessing) -> GoldenRows:
    pixels = golden_pixels([base64.b64decode(photo.jpeg) for photo in golden.photos], spec)
    names = [f"photo {photo.name}" for photo in golden.photos]
    expected = [photo.embedding for photo in golden.photos]
    return _rows([*names, "the pattern"], pixels, [*expected, golden.pattern.embedding], golden)


def _sentences(golden: Golden) -> GoldenRows:
    ids = np.array([sentence.ids for sentence in golden.sentences], np.int32)
    names = [f"sentence {sentence.text[:40]!r}" for sentence in golden.sentences]
    return _rows(names, ids, [sentence.embedding for sentence in golden.sentences], golden)


def _rows(
    names: Sequence[str],
    rows: NDArray[np.generic],
    expected: Sequence[Sequence[float]],
    golden: Golden,
) -> GoldenRows:
    least = {**MIN_COSINE, **golden.min_cosine}
    return GoldenRows(tuple(names), rows, np.array(expected), least)


def _check(worst: float | None, least: float, failures: list[str]) -> GoldenCheck:
    kept = failures[:_FAILURES_KEPT]
    if len(failures) > len(kept):
        kept.append(f"and {len(failures) - len(kept)} more")
    # A cosine that misses only after rounding has its own sentence already.
    near = worst is not None and worst >= least
    return GoldenCheck(
        worst_cosine=worst, least_cosine=least, passed=near and not kept, failures=tuple(kept)
    )

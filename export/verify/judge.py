"""From the vectors that each file made to the figures that say what they are worth."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from export.verify.figures import FileFigures, Loss, PairFigures
from export.verify.golden import Golden
from export.verify.material import Material
from export.verify.overlap import top_overlap
from export.verify.run_file import Outcome
from export.verify.truth import Truth
from retrieval.encode.protocol import Embeddings
from retrieval.evaluate.recall import KS, RetrievalMetrics, evaluate_retrieval
from retrieval.spec.bundle import Bundle, Precision, TowerFile
from retrieval.spec.tower import TOWERS, Tower
from retrieval.spec.ways import WAYS

TARGETS: dict[Precision, float] = {"fp32": 0.9999, "fp16": 0.999}
"""Least cosine to the truth on any input. What is rounded further is judged by what it
retrieves, and by the golden inputs with which hosts test themselves."""


@dataclass(frozen=True)
class Evidence:
    """What was measured, before it is judged.

    Attributes:
        material: What the files were given.
        truth: What they should have made of it.
        outcomes: What they made of it.
        golden: Holds the tolerances.
    """

    material: Material
    truth: Truth
    outcomes: Mapping[TowerFile, Outcome]
    golden: Golden

    @cached_property
    def best(self) -> RetrievalMetrics | None:
        """What the truth retrieves, if it can."""
        return self._metrics(self.truth.vectors) if self.truth.whole else None

    def cosines(self, file: TowerFile) -> NDArray[np.float64]:
        """Of a file that ran to the truth, for all inputs that the truth knows."""
        found = self.outcomes[file].vectors
        assert found is not None
        expected = self.truth.vectors[file.tower]
        return _cosines(expected, found[: len(expected)])

    def worst_row(self, file: TowerFile) -> int:
        """The input on which a file that ran is furthest from the truth."""
        return int(self.cosines(file).argmin())

    def loss(self, files: Mapping[Tower, TowerFile]) -> Loss:
        """What files retrieve; the truth stands in for a tower that is left out.

        All of the files must have run.
        """
        vectors = dict(self.truth.vectors)
        for tower, file in files.items():
            found = self.outcomes[file].vectors
            assert found is not None
            vectors[tower] = found
        metrics = self._metrics(vectors)
        if self.best is None:
            return Loss(recall=metrics.to_dict())
        found_data, true_data = (self._data(one) for one in (vectors, self.truth.vectors))
        return Loss(
            recall=metrics.to_dict(),
            points=_points(self.best, metrics),
            overlap=top_overlap(
                found_data["image"], found_data["text"], true_data["image"], true_data["text"]
            ),
        )

    def _metrics(self, vectors: Mapping[Tower, Embeddings]) -> RetrievalMetrics:
        data = self._data(vectors)
        return evaluate_retrieval(data["image"], data["text"], self.material.photo_of_caption)

    def _data(self, vectors: Mapping[Tower, Embeddings]) -> dict[Tower, Embeddings]:
        """Vectors of the captioned photos, without those of the golden inputs."""
        return {tower: vectors[tower][self.material.skipped[tower] :] for tower in TOWERS}


def judge_file(evidence: Evidence, file: TowerFile) -> FileFigures:
    """The figures of one file."""
    outcome = evidence.outcomes[file]
    figures = FileFigures.of(
        file,
        not_run=outcome.not_run,
        failures=(outcome.failure,) if outcome.failure else (),
        ms=outcome.ms,
        peak_memory=outcome.peak_memory,
        added_memory=outcome.added_memory,
    )
    if outcome.vectors is None:
        return figures
    cosines = evidence.cosines(file)
    golden = float(cosines[: evidence.material.skipped[file.tower]].min())
    worst = float(cosines.min())
    return figures.model_copy(
        update={
            "worst_cosine": worst,
            "median_cosine": float(np.median(cosines)),
            "golden_cosine": golden,
            "loss": evidence.loss({file.tower: file}) if evidence.truth.whole else None,
            "failures": _shortfalls(file, worst, golden, evidence.golden),
        }
    )


def judge_pairs(evidence: Evidence, bundle: Bundle, tolerance: float) -> list[PairFigures]:
    """Towers of the same precision, and the pair that a host opens, of each format.

    Args:
        evidence: Vectors of all files.
        bundle: Says what hosts open; its recommendations may be newer than the evidence.
        tolerance: Points of recall@10 that the pair which a host opens may lose.
    """
    figures = []
    for format in dict.fromkeys(file.format for file in bundle.files):
        ran = [
            file
            for file, outcome in evidence.outcomes.items()
            if file.format == format and outcome.vectors is not None
        ]
        by_tower = {tower: [file for file in ran if file.tower == tower] for tower in TOWERS}
        pairs = [
            (image, text)
            for image in by_tower["image"]
            for text in by_tower["text"]
            if image.precision == text.precision
        ]
        opened = _opened(bundle, ran)
        if opened is not None and opened not in pairs:
            pairs.append(opened)
        figures += [_judge_pair(evidence, pair, pair == opened, tolerance) for pair in pairs]
    return figures


def _judge_pair(
    evidence: Evidence, pair: tuple[TowerFile, TowerFile], opened: bool, tolerance: float
) -> PairFigures:
    image, text = pair
    loss = evidence.loss({"image": image, "text": text})
    lost = loss.worst_at_10
    failures: tuple[str, ...] = ()
    if opened and lost is not None and not lost <= tolerance:
        failures = (f"loses {lost:.2f} points of recall@10, at most {tolerance:g} allowed",)
    return PairFigures(
        format=image.format,
        image=image.precision,
        text=text.precision,
        opened=opened,
        bytes=image.bytes + text.bytes,
        loss=loss,
        failures=failures,
    )


def _opened(bundle: Bundle, ran: list[TowerFile]) -> tuple[TowerFile, TowerFile] | None:
    """What a host opens, if both files ran."""
    if {file.tower for file in ran} != set(TOWERS):
        return None
    by_path = {file.file: file for file in ran}
    image, text = (by_path.get(bundle.file(tower, ran[0].format).file) for tower in TOWERS)
    return (image, text) if image and text else None


def _shortfalls(file: TowerFile, worst: float, golden: float, limits: Golden) -> tuple[str, ...]:
    target = TARGETS.get(file.precision)
    if target is not None:
        if worst >= target:
            return ()
        return (f"cosine {worst:.6f} to the truth, at least {target} expected",)
    limit = limits.limit(file.precision)
    if golden >= limit:
        return ()
    return (f"cosine {golden:.5f} on golden inputs, at least {limit} expected",)


def _cosines(expected: Embeddings, found: Embeddings) -> NDArray[np.float64]:
    products = (expected.astype(np.float64) * found).sum(axis=1)
    lengths = np.linalg.norm(expected, axis=1) * np.linalg.norm(found, axis=1)
    cosines: NDArray[np.float64] = np.minimum(1.0, products / lengths)
    return cosines


def _points(best: RetrievalMetrics, found: RetrievalMetrics) -> dict[str, dict[str, float]]:
    return {
        way: {
            f"recall@{k}": round(
                100 * (getattr(best, way).recall[k] - getattr(found, way).recall[k]), 6
            )
            for k in KS
        }
        for way in WAYS
    }

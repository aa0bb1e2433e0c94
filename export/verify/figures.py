"""What a verification finds, as ``report.json`` holds it."""

from typing import Any, Self

from retrieval.spec.base import Spec
from retrieval.spec.bundle import Format, Precision, TowerFile
from retrieval.spec.tower import Tower
from retrieval.spec.ways import WAYS


class Loss(Spec):
    """What a pair of towers retrieves, and what the truth retrieves more.

    Attributes:
        recall: Recall both ways, as `RetrievalMetrics.to_dict` gives it.
        points: Points of recall@k lost to the truth, by direction and k; less than 0 where
            some are gained. None where the truth cannot retrieve.
        overlap: Share of the first ten photos that both show.
    """

    recall: dict[str, Any]
    points: dict[str, dict[str, float]] | None = None
    overlap: float | None = None

    @property
    def worst_at_10(self) -> float | None:
        """The larger loss of recall@10 of both directions."""
        if self.points is None:
            return None
        return max(self.points[way]["recall@10"] for way in WAYS)


class FileFigures(Spec):
    """One tower file.

    Attributes:
        tower: Which tower.
        format: Of the file.
        precision: Of its weights.
        file: Path in the bundle.
        bytes: Of the file.
        recommended: As the manifest says.
        not_run: Why this machine cannot run it; None if it did.
        failures: How it falls short, one sentence each; empty for a file that did not run.
        worst_cosine: Least cosine to the truth over all inputs that the truth knows.
        median_cosine: In the middle.
        golden_cosine: Least cosine to the truth on golden inputs.
        loss: With the truth's other tower.
        ms: Median of one row on one processor.
        peak_memory: Most bytes of its process.
        added_memory: Bytes of that since just before it was opened.
        error_starts: The layer where its error starts, or why that is not known; only for a
            file that falls short.
    """

    tower: Tower
    format: Format
    precision: Precision
    file: str
    bytes: int
    recommended: bool = False
    not_run: str | None = None
    failures: tuple[str, ...] = ()
    worst_cosine: float | None = None
    median_cosine: float | None = None
    golden_cosine: float | None = None
    loss: Loss | None = None
    ms: float | None = None
    peak_memory: int | None = None
    added_memory: int | None = None
    error_starts: str | None = None

    @classmethod
    def of(cls, file: TowerFile, **figures: Any) -> Self:
        """What the manifest says of ``file``, and the other ``figures``."""
        return cls(
            tower=file.tower,
            format=file.format,
            precision=file.precision,
            file=file.file,
            bytes=file.bytes,
            recommended=file.recommended,
            **figures,
        )


class PairFigures(Spec):
    """An image file and a text file of one format that search together.

    Attributes:
        format: Of both.
        image: Precision of the image tower.
        text: Precision of the text tower.
        opened: Whether a host opens this pair: the recommended one, else the smallest.
        bytes: Of both.
        loss: What they retrieve.
        failures: How they fall short.
    """

    format: Format
    image: Precision
    text: Precision
    opened: bool
    bytes: int
    loss: Loss
    failures: tuple[str, ...] = ()


class Verification(Spec):
    """All that was found.

    Attributes:
        truth: What files were compared with.
        tolerance: Points of recall@10 that the pair which a host opens may lose.
        photos: Captioned photos that were searched.
        captions: Their captions.
        unreadable: Why photos were left out.
        machine: Where times were measured.
        files: In the order of the manifest.
        pairs: Format by format.
        notes: What else is to be known, such as that a format could not be recommended.
    """

    truth: str
    tolerance: float
    photos: int
    captions: int
    unreadable: tuple[str, ...]
    machine: str
    files: tuple[FileFigures, ...]
    pairs: tuple[PairFigures, ...]
    notes: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[str, ...]:
        """Every way in which the bundle falls short; none means that it passes."""
        files = [f"{file.file}: {why}" for file in self.files for why in file.failures]
        pairs = [
            f"{pair.format}, image {pair.image} and text {pair.text}: {why}"
            for pair in self.pairs
            for why in pair.failures
        ]
        return (*files, *pairs)

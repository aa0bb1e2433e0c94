"""What was measured of teacher, student and stages, and how it carries over to other batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class TeacherProfile:
    """A teacher's pace in embedding, and its size."""

    source: str
    """What was profiled: a stand-in's folder, or what the recipe names."""
    stands_in: bool
    """Whether its weights are random."""
    dim: int
    parameters: int
    seconds_per_photo: float
    seconds_per_sentence: float
    memory: int | None


@dataclass(frozen=True)
class StudentProfile:
    """A student's pace in embedding, and its size."""

    parameters: dict[str, int]
    """By tower."""
    seconds_per_photo: float
    seconds_per_sentence: float
    seconds_per_view: float
    """One thread, to decode and crop a photo in training."""
    products_per_second: float
    """Multiplications and additions of the exact search that finds hard negatives."""


@dataclass(frozen=True)
class Measured:
    """A few steps of one batch size."""

    batch: int
    seconds: tuple[float, ...]
    """Of each step but the first."""
    saved_bytes: int
    """Kept for the backward pass, in the step that kept most."""
    memory: int | None
    """Peak of the process."""
    device_memory: int | None


@dataclass(frozen=True)
class StageProfile:
    """The steps of a stage at two batch sizes, or at one where the recipe's is small."""

    measured: tuple[Measured, ...]
    checkpoint_bytes: int

    def seconds(self, batch: int) -> float:
        """Of a step with this batch: a straight line through what was measured."""
        fixed, each = _line([(one.batch, median(one.seconds)) for one in self.measured])
        return fixed + each * batch

    def memory(self, batch: int) -> int | None:
        """Of the process with this batch: the measured peak, and what a larger batch keeps."""
        return self._more(self.measured[-1].memory, batch)

    def device_memory(self, batch: int) -> int | None:
        """The same of the GPU."""
        return self._more(self.measured[-1].device_memory, batch)

    def _more(self, peak: int | None, batch: int) -> int | None:
        if peak is None:
            return None
        _, each = _line([(one.batch, one.saved_bytes) for one in self.measured])
        return peak + int(each * (batch - self.measured[-1].batch))


def _line(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """What is fixed and what each item adds, neither of them below zero."""
    (small, low), (large, high) = points[0], points[-1]
    each = (high - low) / (large - small) if large > small else 0.0
    fixed = high - each * large
    # A few steps scatter; with one point, or a line that falls, all is in proportion.
    return (0.0, high / large) if each <= 0 or fixed < 0 else (fixed, each)

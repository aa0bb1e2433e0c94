"""Milliseconds of many calls, and the figures that stand for them."""

import math
from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from retrieval.spec.base import Spec

WARM_UPS = 10
LEAST_RUNS = 50
SUSTAINED_SECONDS = 180.0
SLICE_SECONDS = 15.0

_TRIMMED = 0.1
_DIGITS = 4
_ROUNDING = 0.002

Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Timing(Spec):
    """One tower, one photo or sentence a call.

    What a device's own tool does not tell is None. Percentiles are interpolated linearly
    between the two nearest of the sorted runs: the value at rank ``p * (runs - 1)``, counted
    from 0.
    """

    cold_load_ms: Milliseconds | None = None
    """From the file to a model that is ready, first time in a new process."""
    warm_load_ms: Milliseconds | None = None
    """The same a second time, in the same process."""
    first_inference_ms: Milliseconds | None = None
    """The very first call after the cold load."""
    p50_ms: Milliseconds
    p90_ms: Milliseconds | None
    p99_ms: Milliseconds | None
    trimmed_mean_ms: Milliseconds | None
    """Mean without the fastest and the slowest tenth of the runs, each rounded down."""
    runs: Annotated[int, Field(ge=LEAST_RUNS)]
    warm_ups: Annotated[int, Field(ge=WARM_UPS)]
    """Calls before the runs, whose time does not count."""
    milliseconds: tuple[Milliseconds, ...]
    """Of every run, in their order; empty where a device's own tool does not tell."""

    @classmethod
    def of(
        cls,
        milliseconds: Sequence[float],
        *,
        warm_ups: int,
        cold_load_ms: float | None = None,
        warm_load_ms: float | None = None,
        first_inference_ms: float | None = None,
    ) -> Self:
        """The figures of these runs.

        Raises:
            ValueError: There are too few runs or warm-ups.
        """
        kept = tuple(round(value, _DIGITS) for value in milliseconds)
        p50, p90, p99 = (percentile(kept, part) for part in (0.5, 0.9, 0.99))
        return cls(
            cold_load_ms=_rounded(cold_load_ms),
            warm_load_ms=_rounded(warm_load_ms),
            first_inference_ms=_rounded(first_inference_ms),
            p50_ms=p50,
            p90_ms=p90,
            p99_ms=p99,
            trimmed_mean_ms=trimmed_mean(kept),
            runs=len(kept),
            warm_ups=warm_ups,
            milliseconds=kept,
        )

    @model_validator(mode="after")
    def _figures_belong_to_the_runs(self) -> Self:
        told = [value for value in (self.p50_ms, self.p90_ms, self.p99_ms) if value is not None]
        if told != sorted(told):
            raise ValueError("percentiles must not fall")
        if not self.milliseconds:
            return self
        if len(self.milliseconds) != self.runs:
            raise ValueError("runs is not the number of milliseconds")
        for name, value, right in (
            ("p50_ms", self.p50_ms, percentile(self.milliseconds, 0.5)),
            ("p90_ms", self.p90_ms, percentile(self.milliseconds, 0.9)),
            ("p99_ms", self.p99_ms, percentile(self.milliseconds, 0.99)),
            ("trimmed_mean_ms", self.trimmed_mean_ms, trimmed_mean(self.milliseconds)),
        ):
            if value is None or not math.isclose(value, right, rel_tol=1e-3, abs_tol=_ROUNDING):
                raise ValueError(f"{name} is not what the milliseconds give: {right}")
        return self


class Slice(Spec):
    """Some seconds of a sustained run."""

    start_s: Annotated[float, Field(ge=0)]
    """Since the run began."""
    p50_ms: Milliseconds
    runs: Annotated[int, Field(ge=1)]


class SustainedRun(Spec):
    """Calls without a pause, for long enough that a phone gets warm."""

    seconds: Annotated[float, Field(gt=0)]
    slices: Annotated[tuple[Slice, ...], Field(min_length=1)]
    slow_down: Annotated[float, Field(gt=0)]
    """p50 of the last slice divided by that of the first: 1 is a phone that kept its pace."""

    @classmethod
    def of(
        cls, calls: Sequence[tuple[float, float]], *, slice_seconds: float = SLICE_SECONDS
    ) -> Self:
        """The figures of these calls.

        Args:
            calls: When each began, in seconds since the first, and the milliseconds it took.
            slice_seconds: Length of a slice.

        Raises:
            ValueError: There are none.
        """
        by_slice: dict[int, list[float]] = {}
        for start, milliseconds in calls:
            by_slice.setdefault(int(start // slice_seconds), []).append(milliseconds)
        slices = tuple(
            Slice(start_s=index * slice_seconds, p50_ms=percentile(found, 0.5), runs=len(found))
            for index, found in sorted(by_slice.items())
        )
        if not slices:
            raise ValueError("a sustained run has at least one call")
        start, milliseconds = calls[-1]
        return cls.of_slices(slices, seconds=start + milliseconds / 1e3)

    @classmethod
    def of_slices(cls, slices: Sequence[Slice], *, seconds: float) -> Self:
        """The figures of a run whose slices are known."""
        return cls(seconds=round(seconds, 3), slices=tuple(slices), slow_down=_ratio(slices))

    @model_validator(mode="after")
    def _slow_down_belongs_to_the_slices(self) -> Self:
        if not math.isclose(self.slow_down, _ratio(self.slices), rel_tol=0.01):
            raise ValueError("slow_down is not the last slice's p50 divided by the first's")
        return self


def percentile(milliseconds: Sequence[float], part: float) -> float:
    """The value below which this part of the runs lies, interpolated linearly."""
    return round(float(np.quantile(np.asarray(milliseconds), part)), _DIGITS)


def trimmed_mean(milliseconds: Sequence[float]) -> float:
    """Mean without a tenth at each end."""
    cut = int(len(milliseconds) * _TRIMMED)
    kept = sorted(milliseconds)[cut : len(milliseconds) - cut]
    return round(float(np.mean(kept)), _DIGITS)


def _ratio(slices: Sequence[Slice]) -> float:
    # A clock too coarse for a tiny tower must not divide by zero.
    first, last = (max(part.p50_ms, 0.1**_DIGITS) for part in (slices[0], slices[-1]))
    return round(last / first, _DIGITS)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)

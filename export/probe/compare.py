"""Two probes of one model side by side."""

from collections.abc import Callable
from dataclasses import dataclass

from export.probe.result import FileResult, ProbeResult
from retrieval.spec.errors import ProbeError

FIGURES: dict[str, Callable[[FileResult], float | None]] = {
    "p50_ms": lambda file: file.timing.p50_ms if file.timing else None,
    "p90_ms": lambda file: file.timing.p90_ms if file.timing else None,
    "cold_load_ms": lambda file: file.timing.cold_load_ms if file.timing else None,
    "peak_memory_bytes": lambda file: file.peak_memory_bytes,
}
"""What is compared, by the name that the schema gives it."""


@dataclass(frozen=True)
class Ratio:
    """One tower, format and precision in both probes.

    Attributes:
        key: Tower, format and precision.
        first: Figures of the first probe, by their names in `FIGURES`; None where unknown.
        second: Of the second.
    """

    key: tuple[str, str, str]
    first: dict[str, float | None]
    second: dict[str, float | None]

    def ratio(self, name: str) -> float | None:
        """A figure of the second probe divided by that of the first; None if one is unknown."""
        first, second = self.first[name], self.second[name]
        return None if not first or second is None else second / first


def compare(first: ProbeResult, second: ProbeResult) -> tuple[Ratio, ...]:
    """Match the rows of two probes.

    Args:
        first: What the ratios divide by.
        second: Of the same model, elsewhere or at another time.

    Raises:
        ProbeError: The probes are of different models, or no row of one is in the other.
    """
    if first.bundle.fingerprint != second.bundle.fingerprint:
        raise ProbeError(
            f"these probes are of different models, {first.bundle.name} and {second.bundle.name}: "
            "compare two probes of one bundle"
        )
    found = {file.key: file for file in second.files}
    ratios = tuple(
        Ratio(file.key, _figures(file), _figures(found[file.key]))
        for file in first.files
        if file.key in found
    )
    if not ratios:
        raise ProbeError(
            "these probes have no tower of one format and precision in common: probe the same "
            "files with --format and --precision"
        )
    return ratios


def _figures(file: FileResult) -> dict[str, float | None]:
    return {name: read(file) for name, read in FIGURES.items()}

"""Which files of a bundle a probe runs."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from export.probe.inputs import GoldenRows, golden_rows
from export.probe.result import ProbedBundle
from retrieval.spec.bundle import Bundle, TowerFile, check_file, read_bundle
from retrieval.spec.errors import ProbeError
from retrieval.spec.tower import Tower


@dataclass(frozen=True)
class Plan:
    """A bundle and those of its files that are to be probed, found undamaged.

    Attributes:
        folder: The bundle.
        bundle: What its manifest says.
        files: At least one.
        golden: Golden inputs by tower.
        threads: Of every file.
        sustained_seconds: Length of a sustained run; None for none.
    """

    folder: Path
    bundle: Bundle
    files: tuple[TowerFile, ...]
    golden: dict[Tower, GoldenRows]
    threads: int = 1
    sustained_seconds: float | None = None

    @property
    def probed(self) -> ProbedBundle:
        """What the result calls the bundle."""
        return ProbedBundle(name=self.bundle.name, fingerprint=self.bundle.fingerprint)

    @property
    def formats(self) -> tuple[str, ...]:
        """Of the files, each once."""
        return tuple(dict.fromkeys(file.format for file in self.files))


def make_plan(
    folder: Path,
    *,
    formats: Collection[str],
    precisions: Collection[str] = (),
    threads: int = 1,
    sustained_seconds: float | None = None,
) -> Plan:
    """Choose files of a bundle.

    Args:
        folder: The bundle.
        formats: Which ones the device can run.
        precisions: Which ones are wanted; empty for all.
        threads: For every file.
        sustained_seconds: Length of a sustained run; None for none.

    Raises:
        BundleError: The folder is no bundle, or a file is damaged.
        ProbeError: It has no such file.
    """
    bundle = read_bundle(folder)
    files = tuple(
        file
        for file in bundle.files
        if file.format in formats and (not precisions or file.precision in precisions)
    )
    if not files:
        wanted = " or ".join(formats)
        kinds = f"{wanted} files of precision {' or '.join(precisions)}" if precisions else wanted
        found = sorted({f"{file.format} {file.precision}" for file in bundle.files})
        raise ProbeError(f"{folder} has no {kinds} to probe here; it has {', '.join(found)}")
    for file in files:
        check_file(folder, file)
    return Plan(folder, bundle, files, golden_rows(folder, bundle), threads, sustained_seconds)

"""Writes tower files and says how near each is to PyTorch, where this machine can run it."""

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.plan import WantedFile
from export.targets.registry import find_target
from export.targets.support import note
from export.targets.target import Conversion, Target, Traced, Written
from export.verify.parity import agreement, check_exact, reference
from retrieval.encode.onnx import as_input
from retrieval.spec.bundle import TowerFile
from retrieval.spec.errors import ExportError
from retrieval.spec.files import sha256_path, size_of
from retrieval.spec.tower import Tower

Tell = Callable[[str], None]
"""Called with what is being done."""


@dataclass(frozen=True)
class PackedFile:
    """A file that lies in a bundle's folder.

    Attributes:
        entry: What the manifest says of it.
        report: What ``report.json`` says of it: ``max_difference``, ``min_cosine`` and
            ``median_cosine`` to PyTorch, all None where this machine cannot run it, and
            ``notes``.
    """

    entry: TowerFile
    report: dict[str, Any]


def write_files(
    folder: Path,
    conversions: Mapping[Tower, Conversion],
    wanted: Sequence[WantedFile],
    *,
    tell: Tell,
) -> list[PackedFile]:
    """Trace each tower once for each format, then write it in every precision.

    Args:
        folder: Of the bundle that is being made.
        conversions: By tower.
        wanted: From `export.plan`, formats and towers together.
        tell: Told of each tower and file.

    Raises:
        ExportError: A tower cannot be converted, a file does not compute what PyTorch does,
            or two of the files would have one name.
    """
    packed: dict[str, PackedFile] = {}
    for (format, tower), files in groupby(wanted, lambda file: (file.format, file.tower)):
        target, conversion = find_target(format), conversions[tower]
        tell(f"converting the {tower} tower to {format}")
        traced = target.trace(conversion)
        expected = _expected(conversion)
        for file in files:
            tell(f"writing {file.label}")
            one = _write(folder, target, traced, file, conversion, expected, taken=packed)
            packed[one.entry.file] = one
    return list(packed.values())


def _write(
    folder: Path,
    target: Target,
    traced: Traced,
    file: WantedFile,
    conversion: Conversion,
    expected: NDArray[np.float32],
    *,
    taken: Collection[str],
) -> PackedFile:
    place = folder / target.format
    place.mkdir(exist_ok=True)
    temporary = place / f".{file.tower}{target.suffix}"
    written = traced.write(temporary, file.precision)
    report = _compared(target, temporary, written, file, conversion, expected)
    path = place / f"{file.tower}-{written.precision}{target.suffix}"
    name = path.relative_to(folder).as_posix()
    if name in taken:
        raise ExportError(
            f"{file.label} and another of its files are both {written.precision}; "
            "leave one of the precisions out"
        )
    remove(path)
    temporary.rename(path)
    entry = TowerFile(
        tower=file.tower,
        format=target.format,
        precision=written.precision,
        file=name,
        sha256=sha256_path(path),
        bytes=size_of(path),
        interface=written.interface,
    )
    unlisted = note(conversion.model.config, file.tower)
    notes = written.notes | ({"tower": unlisted} if unlisted else {})
    return PackedFile(entry, report | {"notes": notes})


def remove(path: Path) -> None:
    """Remove a tower file, or the folder that its format calls one file, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _compared(
    target: Target,
    path: Path,
    written: Written,
    file: WantedFile,
    conversion: Conversion,
    expected: NDArray[np.float32],
) -> dict[str, Any]:
    run = target.open(path, written.interface)
    if run is None:
        return {"max_difference": None, "min_cosine": None, "median_cosine": None}
    found = run(conversion.examples)
    near = agreement(expected, found)
    if written.precision == "fp32":
        check_exact(file.label, near)
    if not np.isfinite(found).all():
        raise ExportError(f"{file.label} gives embeddings that are not finite")
    lengths = np.linalg.norm(expected, axis=1) * np.linalg.norm(found, axis=1)
    cosines = (expected * found).sum(axis=1) / np.maximum(lengths, 1e-12)
    return {**near._asdict(), "median_cosine": float(np.median(cosines))}


def _expected(conversion: Conversion) -> NDArray[np.float32]:
    inputs = conversion.examples
    if conversion.tower == "image":
        inputs = as_input(inputs.astype(np.uint8, copy=False), conversion.preprocessing)
    return reference(conversion.graph, inputs)

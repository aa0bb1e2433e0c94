"""What a probe of this machine runs: the bundle's files, and the same towers in PyTorch."""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from export.probe.inputs import in_file_form
from export.probe.plan import Plan
from retrieval.spec.bundle import Format, Precision
from retrieval.spec.errors import MissingExtraError, ProbeError
from retrieval.spec.files import sha256_path
from retrieval.spec.tower import Tower

TORCH = "torch"
HOST_FORMATS = ("onnx", "litert")
"""Bundle files that this machine may be able to run."""

_MODULES = {"onnx": ("onnxruntime", "export"), "litert": ("ai_edge_litert", "litert")}
"""Module of each format's runtime, and the extra that installs it."""


@dataclass(frozen=True)
class Subject:
    """One file, or one tower of a checkpoint, and its golden inputs in its own form."""

    tower: Tower
    format: Format | Literal["torch"]
    precision: Precision
    path: Path
    file: str
    sha256: str
    rows: NDArray[np.generic]

    @property
    def label(self) -> str:
        """What to call it while people wait."""
        return f"{self.tower} {self.format} {self.precision}"


def check_runtime(file_format: str) -> None:
    """Refuse a format whose runtime is not installed.

    Raises:
        MissingExtraError: It is not.
        ProbeError: No machine of this kind runs it.
    """
    if file_format not in _MODULES:
        raise ProbeError(
            f"{file_format} files are not run on this machine: --format "
            f"{','.join((*HOST_FORMATS, TORCH))}, or another --device"
        )
    module, extra = _MODULES[file_format]
    if importlib.util.find_spec(module) is None:
        raise MissingExtraError(f"Probing {file_format} files", extra)


def installed_formats() -> tuple[str, ...]:
    """Formats whose runtime is installed here."""
    return tuple(
        name for name in HOST_FORMATS if importlib.util.find_spec(_MODULES[name][0]) is not None
    )


def not_installed(plan: Plan) -> tuple[str, ...]:
    """What to tell of the bundle's files that this machine could run and does not.

    Args:
        plan: Of all formats whose runtime is installed.
    """
    there = {file.format for file in plan.bundle.files} - set(installed_formats())
    return tuple(
        f"its {name} files are left out: pip install 'leanclip[{_MODULES[name][1]}]'"
        for name in HOST_FORMATS
        if name in there
    )


def subjects(plan: Plan, checkpoint: Path | None) -> Iterator[Subject]:
    """All that is to be run, in the order of the bundle's manifest, PyTorch last.

    Raises:
        CheckpointError: The checkpoint cannot be read.
        ProbeError: It is another model than the bundle.
        MissingExtraError: PyTorch is not installed.
    """
    spec = plan.bundle.preprocessing
    for entry in plan.files:
        rows = in_file_form(plan.golden[entry.tower].rows, spec, entry.interface)
        path = plan.folder / entry.file
        yield Subject(
            entry.tower, entry.format, entry.precision, path, entry.file, entry.sha256, rows
        )
    if checkpoint is not None:
        yield from _of_checkpoint(plan, checkpoint)


def _of_checkpoint(plan: Plan, folder: Path) -> Iterator[Subject]:
    try:
        from retrieval.models.checkpoint import WEIGHTS, load_checkpoint
    except ModuleNotFoundError as error:
        raise MissingExtraError("Probing PyTorch", "train") from error
    fingerprint: Any = load_checkpoint(folder).fingerprint
    if fingerprint != plan.bundle.fingerprint:
        raise ProbeError(
            f"{folder} is another model than {plan.folder}: give the checkpoint that the bundle "
            "was exported from"
        )
    sha256 = sha256_path(folder / WEIGHTS)
    towers: tuple[Tower, ...] = ("image", "text")
    for tower in towers:
        rows = in_file_form(plan.golden[tower].rows, plan.bundle.preprocessing, None)
        yield Subject(tower, "torch", "fp32", folder, WEIGHTS, sha256, rows)

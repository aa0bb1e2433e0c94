"""What every export target is: a way into one file format, and a way to run its files here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from export.targets.graphs import Graph
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.bundle import Format, Interface, Precision
from retrieval.spec.preprocessing import Preprocessing
from retrieval.spec.tower import Tower

Inputs = NDArray[np.generic]
"""What the host has: uint8 RGB pixels ``(batch, 3, size, size)``, or int32 token ids
``(batch, context)``. Targets bring them into the form that their files take."""

Run = Callable[[Inputs], NDArray[np.float32]]
"""Inputs to embeddings ``(batch, dim)``, one row at a time as a phone would."""


@dataclass(frozen=True)
class Conversion:
    """A tower on its way into a file.

    Attributes:
        model: Both towers.
        tower: Which one.
        graph: The tower as hosts call it, in float32.
        examples: Real inputs, two rows or more, to trace and to compare with.
        calibration: More real inputs, for precisions whose activations have fixed scales;
            None where nobody gave any.
        metadata: Stored in the file: ``name``, ``fingerprint``, ``licence``, ``tower``.
    """

    model: DualEncoder
    tower: Tower
    graph: Graph
    examples: Inputs
    calibration: Inputs | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def preprocessing(self) -> Preprocessing:
        """What the image tower takes."""
        return self.model.config.preprocessing


@dataclass(frozen=True)
class Written:
    """A tower file that was written.

    Attributes:
        precision: Of its weights, as the manifest calls it.
        interface: How hosts call it.
        notes: What was decided on the way (operations kept in float and why, opset,
            versions), JSON-compatible, for ``report.json``.
    """

    precision: Precision
    interface: Interface
    notes: dict[str, Any] = field(default_factory=dict)


class Traced(Protocol):
    """A tower in a target's own form, before it is written in one or several precisions."""

    def write(self, path: Path, precision: str) -> Written:
        """Write one file, or the folder that the format calls one file.

        Raises:
            ExportError: The precision needs calibration inputs that are missing, or the
                converter fails.
        """


class Target(Protocol):
    """One file format."""

    format: Format
    suffix: str
    """Of its files, with the dot."""
    extra: str
    """The extra of leanclip that installs its converter."""
    precisions: tuple[str, ...]
    """What ``--precision`` may ask for."""

    def refuses(self, conversion: Conversion, precision: str) -> str | None:
        """Why a tower cannot be written so, and what to do instead; None if it can."""

    def trace(self, conversion: Conversion) -> Traced:
        """Convert a tower in float32.

        Raises:
            ExportError: An operation has no converter.
            MissingExtraError: The converter is not installed.
        """

    def open(self, path: Path, interface: Interface) -> Run | None:
        """Run a file on this machine; None where only a device of its kind can.

        Raises:
            BundleError: The runtime cannot load the file.
            MissingExtraError: The runtime is not installed.
        """

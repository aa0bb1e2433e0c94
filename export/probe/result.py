"""What a probe of a device says: one form for this machine, phones and browsers."""

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from export.probe.figures import SustainedRun, Timing
from retrieval.spec.base import Spec
from retrieval.spec.bundle import Format, Precision
from retrieval.spec.tower import Tower

SCHEMA_VERSION = 1

DeviceKind = Literal["host", "android", "ios", "browser"]
Thermal = Literal[
    "none",
    "light",
    "moderate",
    "severe",
    "critical",
    "emergency",
    "shutdown",
    "nominal",
    "fair",
    "serious",
]
"""Android's words from ``none`` to ``shutdown``; Apple's are ``nominal``, ``fair``,
``serious`` and ``critical``."""

Name = Annotated[str, Field(min_length=1)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Device(Spec):
    """The hardware."""

    kind: DeviceKind
    maker: Name | None = None
    """None where the device does not say, as browsers do not."""
    model: Name
    """As the device calls itself: of the phone, or of the processor."""


class System(Spec):
    """What runs on the hardware."""

    name: Name
    version: str
    browser: Name | None = None
    """Name and version of a browser that ran the towers."""


class Runtime(Spec):
    """What ran the file."""

    name: Name
    """Such as ``onnxruntime``, ``litert``, ``torch``, ``onnxruntime-web``, ``coreml``."""
    version: str


class ProbedBundle(Spec):
    """Which model was probed."""

    name: Name
    fingerprint: Name
    """As in ``bundle.json``; probes of different fingerprints are not compared."""


class GoldenCheck(Spec):
    """How near the device's embeddings are to PyTorch's, on the bundle's golden inputs."""

    worst_cosine: Annotated[float, Field(ge=-1.001, le=1.001)] | None
    """Of all inputs of the tower; None where an embedding was not finite, not of length one
    or of another size."""
    least_cosine: Annotated[float, Field(ge=-1, le=1)]
    """What the golden file asks of this precision."""
    passed: bool
    failures: tuple[str, ...] = ()
    """A sentence for each input that missed it."""

    @property
    def complaint(self) -> str:
        """Why a file whose check failed has no latency."""
        what = self.failures[0] if self.failures else f"cosine {self.worst_cosine}"
        return f"no latency, since its golden check failed ({what}); export it again"

    @model_validator(mode="after")
    def _passed_means_near_enough(self) -> Self:
        near = self.worst_cosine is not None and self.worst_cosine >= self.least_cosine
        if self.passed != (near and not self.failures):
            raise ValueError("passed does not agree with the cosine and the failures")
        return self


class FileResult(Spec):
    """One tower file on one runtime."""

    tower: Tower
    format: Format | Literal["torch"]
    precision: Precision
    file: Name
    """Path relative to the bundle, or to the checkpoint for ``torch``."""
    sha256: Sha256
    """Of the file, as in ``bundle.json``."""
    runtime: Runtime
    delegate: Name
    """Who computes: ``CPU``, ``XNNPACK``, ``GPU``, ``NNAPI``, ``wasm``, ``webgpu``, or what
    Core ML was allowed, such as ``CPU_AND_NE``."""
    threads: Annotated[int, Field(ge=1)] | None
    """None where the delegate does not let its user choose."""
    golden: GoldenCheck | None
    """None where it could not be made; `reason` says why."""
    timing: Timing | None = None
    """None unless the golden check passed."""
    sustained: SustainedRun | None = None
    """None unless asked for, and unless the golden check passed."""
    peak_memory_bytes: Annotated[int, Field(ge=1)] | None = None
    """Of the process, or of the browser's worker, that ran this file alone; None where the
    system does not tell."""
    thermal_before: Thermal | None = None
    thermal_after: Thermal | None = None
    reason: Name | None = None
    """Why there is no timing, and what to do."""

    @model_validator(mode="after")
    def _no_latency_without_a_passing_golden_check(self) -> Self:
        checked = self.golden is not None and self.golden.passed
        if not checked and (self.timing is not None or self.sustained is not None):
            raise ValueError("a latency is reported although no golden check passed")
        if (self.timing is None) == (self.reason is None):
            raise ValueError("a file has either a timing or the reason why it has none")
        return self

    @property
    def key(self) -> tuple[str, str, str]:
        """Tower, format and precision: what rows of two probes are matched by."""
        return self.tower, self.format, self.precision


class ProbeResult(Spec):
    """All that one probe of one device found."""

    schema_version: Literal[1] = 1
    leanclip: Name
    """Version of leanclip, or of the shell app, that made the probe."""
    timestamp: AwareDatetime
    """When the probe ended, with the zone of its time."""
    device: Device
    system: System
    bundle: ProbedBundle
    files: Annotated[tuple[FileResult, ...], Field(min_length=1)]

    @property
    def passed(self) -> bool:
        """Whether every file passed its golden check and was timed."""
        return all(file.timing is not None for file in self.files)

"""A probe of whatever device is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from export.probe.adb import find_phone
from export.probe.android_app import probe_with_app
from export.probe.android_binary import check_binary, probe_with_binary
from export.probe.browser import probe_browser
from export.probe.devicectl import find_iphone
from export.probe.host import probe_host
from export.probe.ios import probe_with_ios_app
from export.probe.plan import make_plan
from export.probe.result import DeviceKind, ProbeResult
from export.probe.subjects import TORCH, check_runtime, installed_formats, not_installed
from retrieval.spec.errors import ProbeError

WEB = Path(__file__).resolve().parents[2] / "build" / "web"
"""Where the web shell is assembled in a checkout of leanclip's repository."""

_DEVICE_FORMATS: dict[str, tuple[str, ...]] = {
    "android": ("litert", "onnx"),
    "ios": ("coreml", "onnx"),
    "browser": ("onnx",),
}
_ALL_FORMATS = ("onnx", "litert", "coreml", "executorch", TORCH)


@dataclass(frozen=True)
class Request:
    """What a user asks for.

    Attributes:
        folder: The bundle.
        kind: On which kind of device.
        formats: Empty for all that the bundle has and the device runs.
        precisions: Empty for all.
        threads: Of one file.
        sustained_seconds: Length of a sustained run of each file; None for none.
        checkpoint: The same model in PyTorch; on this machine only.
        serial: Which phone; None if there is only one.
        binary: LiteRT's tool, to use instead of the app; on Android only.
        app: What to install first, or the folder of the web shell.
    """

    folder: Path
    kind: DeviceKind = "host"
    formats: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    threads: int = 1
    sustained_seconds: float | None = None
    checkpoint: Path | None = None
    serial: str | None = None
    binary: Path | None = None
    app: Path | None = None


def run_probe(
    request: Request,
    tell: Callable[[str], None] = lambda _: None,
    note: Callable[[str], None] = lambda _: None,
) -> ProbeResult:
    """Make the probe.

    Args:
        request: What is asked for.
        tell: Told what is being done.
        note: Told what people should know although nothing failed.

    Raises:
        BundleError: The bundle is damaged.
        MissingExtraError: A runtime is not installed.
        ProbeError: The device cannot be probed; with what to do.
    """
    _check_options(request)
    if request.binary is not None:
        check_binary(request.binary)
    plan = make_plan(
        request.folder,
        formats=_formats(request),
        precisions=request.precisions,
        threads=request.threads,
        sustained_seconds=request.sustained_seconds,
    )
    if request.kind == "host":
        for line in () if request.formats else not_installed(plan):
            note(line)
        return probe_host(plan, checkpoint=request.checkpoint, tell=tell)
    if request.kind == "browser":
        return probe_browser(plan, request.app or WEB, tell=tell)
    if request.kind == "ios":
        return probe_with_ios_app(plan, find_iphone(request.serial), app=request.app, tell=tell)
    phone = find_phone(request.serial)
    if request.binary is not None:
        return probe_with_binary(plan, phone, request.binary, tell=tell)
    return probe_with_app(plan, phone, app=request.app, tell=tell)


def _check_options(request: Request) -> None:
    """Refuse options that mean nothing on the device, rather than ignore them."""
    kind = request.kind
    for name, value, kinds in (
        ("--checkpoint", request.checkpoint, ("host",)),
        ("--serial", request.serial, ("android", "ios")),
        ("--binary", request.binary, ("android",)),
        ("--app", request.app, ("android", "ios", "browser")),
    ):
        if value is not None and kind not in kinds:
            raise ProbeError(f"{name} is for --device {' or '.join(kinds)}, not for {kind}")
    for name in request.formats:
        if name not in _ALL_FORMATS:
            raise ProbeError(f"there is no format {name!r}; formats: {', '.join(_ALL_FORMATS)}")
    if TORCH in request.formats and request.checkpoint is None:
        raise ProbeError("to time PyTorch, name the model's folder with --checkpoint")


def _formats(request: Request) -> tuple[str, ...]:
    """Formats of the bundle's files that the device is to run."""
    if request.kind == "host":
        wanted = tuple(name for name in request.formats if name != TORCH)
        for name in wanted:
            check_runtime(name)
        return wanted or installed_formats()
    runs = ("litert",) if request.binary is not None else _DEVICE_FORMATS[request.kind]
    for name in request.formats:
        if name not in runs:
            raise ProbeError(
                f"{name} files are not run there: --format {','.join(runs)}, or another --device"
            )
    return request.formats or runs

"""Probing an Android phone with LiteRT's own ``benchmark_model``."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from export.probe import litert_tool
from export.probe.adb import Phone
from export.probe.command import Answer
from export.probe.figures import SLICE_SECONDS, WARM_UPS, Slice, SustainedRun, Timing
from export.probe.inputs import in_file_form
from export.probe.job import RUNS, new_run
from export.probe.machine import leanclip_version, now
from export.probe.plan import Plan
from export.probe.result import FileResult, GoldenCheck, ProbeResult, Runtime, Thermal
from retrieval.spec.bundle import TowerFile
from retrieval.spec.errors import ProbeError
from retrieval.spec.files import sha256_file

Vectors = NDArray[np.float32]

_TOOL = "benchmark_model"
_PATIENCE = 600.0

_NO_OUTPUT = (
    "this benchmark_model writes no output (--output_filepath), so its golden check cannot be "
    "made: build one from LiteRT of 2024 or later, or use the app"
)
_NO_MEDIAN = (
    "this benchmark_model prints no median: build one from LiteRT of 2024 or later, or use the app"
)


@dataclass(frozen=True)
class _Bench:
    """The tool on the phone, in the folder where its files lie."""

    phone: Phone
    folder: PurePosixPath

    def run(self, flags: list[str]) -> Answer:
        tool = str(self.folder / _TOOL)
        return self.phone.shell(tool, *flags, seconds=_PATIENCE)


def probe_with_binary(
    plan: Plan,
    phone: Phone,
    binary: Path,
    *,
    tell: Callable[[str], None] = lambda _: None,
) -> ProbeResult:
    """Push the tool and the files, check each file's embeddings, then time it.

    Args:
        plan: Its LiteRT files.
        phone: Where.
        binary: ``benchmark_model`` for the phone's processor.
        tell: Told what is being done.

    Raises:
        ProbeError: The binary is another tool or does not run there, or the phone is full or
            gone. What was pushed is removed in every case but the last.
    """
    check_binary(binary)
    runtime = Runtime(name="litert", version=f"{_TOOL} {sha256_file(binary)[:12]}")
    with phone.folder(new_run()) as folder:
        tell(f"copying {len(plan.files)} files to {phone.serial}")
        phone.push(binary, folder / _TOOL)
        phone.shell("chmod", "755", str(folder / _TOOL))
        bench = _Bench(phone, folder)
        files = []
        for entry in plan.files:
            tell(f"{entry.tower} {entry.format} {entry.precision} on {phone.serial}")
            files.append(_probe_file(bench, plan, entry, runtime))
        return ProbeResult(
            leanclip=leanclip_version(),
            timestamp=now(),
            device=phone.device(),
            system=phone.system(),
            bundle=plan.probed,
            files=tuple(files),
        )


def check_binary(binary: Path) -> None:
    """Refuse what cannot be used.

    Raises:
        ProbeError: There is no such file, or it is a tool whose embeddings cannot be checked.
    """
    if not binary.is_file():
        raise ProbeError(f"there is no {binary}: build {_TOOL} for the phone's processor")
    if "perf_test" in binary.name:
        raise ProbeError(
            f"{binary.name} shows no embeddings, so no golden check can be made and its latency "
            "is not reported: time ONNX files with the app, without --binary"
        )


def _probe_file(bench: _Bench, plan: Plan, entry: TowerFile, runtime: Runtime) -> FileResult:
    graph = bench.folder / f"{entry.tower}-{entry.precision}.tflite"
    bench.phone.push(plan.folder / entry.file, graph)
    before = bench.phone.thermal()
    golden, timing, sustained, peak, reason = None, None, None, None, None
    vectors = _vectors(bench, plan, entry, str(graph))
    if vectors is None:
        reason = _NO_OUTPUT
    else:
        golden = plan.golden[entry.tower].judge(vectors, entry.precision)
        reason = None if golden.passed else golden.complaint
    if reason is None:
        timing = _timing(bench, plan, str(graph))
        reason = None if timing else _NO_MEDIAN
    if timing is not None:
        sustained = _sustained(bench, plan, str(graph))
        flags = litert_tool.memory_flags(str(graph), threads=plan.threads)
        peak = _printed(bench, flags).peak_bytes
    return _row(entry, plan, runtime, golden, timing, sustained, peak, reason, before, bench)


def _row(
    entry: TowerFile,
    plan: Plan,
    runtime: Runtime,
    golden: GoldenCheck | None,
    timing: Timing | None,
    sustained: SustainedRun | None,
    peak: int | None,
    reason: str | None,
    before: Thermal | None,
    bench: _Bench,
) -> FileResult:
    return FileResult(
        tower=entry.tower,
        format=entry.format,
        precision=entry.precision,
        file=entry.file,
        sha256=entry.sha256,
        runtime=runtime,
        delegate="XNNPACK",
        threads=plan.threads,
        golden=golden,
        timing=timing,
        sustained=sustained,
        peak_memory_bytes=peak,
        thermal_before=before,
        thermal_after=bench.phone.thermal(),
        reason=reason,
    )


def _vectors(bench: _Bench, plan: Plan, entry: TowerFile, graph: str) -> Vectors | None:
    """Embeddings of the golden inputs; None where the tool writes none."""
    rows = in_file_form(plan.golden[entry.tower].rows, plan.bundle.preprocessing, entry.interface)
    given, results = bench.folder / f"{entry.tower}-inputs", bench.folder / f"{entry.tower}-outputs"
    with tempfile.TemporaryDirectory() as name:
        inputs, outputs = Path(name) / given.name, Path(name) / results.name
        inputs.mkdir()
        for index, row in enumerate(rows):
            (inputs / f"{index}.bin").write_bytes(row.tobytes())
        bench.phone.push(inputs, given)
        bench.phone.shell("mkdir", "-p", str(results))
        for index in range(len(rows)):
            ends = (str(given / f"{index}.bin"), str(results / f"{index}.bin"))
            _printed(bench, litert_tool.golden_flags(graph, (1, *rows.shape[1:]), *ends))
        bench.phone.pull(results, outputs)
        written = [outputs / f"{index}.bin" for index in range(len(rows))]
        if not all(path.is_file() for path in written):
            return None
        found = [np.fromfile(path, np.float32) for path in written]
    if len({len(vector) for vector in found}) > 1:
        return np.empty((0, 0), np.float32)
    return np.stack(found)


def _timing(bench: _Bench, plan: Plan, graph: str) -> Timing | None:
    """None where the tool prints no median."""
    flags = litert_tool.timing_flags(graph, threads=plan.threads, runs=RUNS)
    said = _printed(bench, flags)
    if said.p50_ms is None:
        return None
    return Timing(
        cold_load_ms=said.load_ms,
        first_inference_ms=said.first_ms,
        p50_ms=said.p50_ms,
        p90_ms=None,
        p99_ms=None,
        trimmed_mean_ms=None,
        runs=said.runs,
        warm_ups=WARM_UPS,
        milliseconds=(),
    )


def _sustained(bench: _Bench, plan: Plan, graph: str) -> SustainedRun | None:
    """One run of the tool after the other, each a slice."""
    if plan.sustained_seconds is None:
        return None
    slices = []
    length = min(SLICE_SECONDS, plan.sustained_seconds)
    for index in range(round(plan.sustained_seconds / length)):
        flags = litert_tool.timing_flags(graph, threads=plan.threads, runs=1, seconds=length)
        said = _printed(bench, flags)
        if said.p50_ms is None:
            return None
        slices.append(Slice(start_s=index * length, p50_ms=said.p50_ms, runs=said.runs))
    return SustainedRun.of_slices(slices, seconds=length * len(slices))


def _printed(bench: _Bench, flags: list[str]) -> litert_tool.Printed:
    answer = bench.run(flags)
    said = litert_tool.read_output(answer.text + answer.errors)
    if answer.status != 0 or said is None:
        raise ProbeError(
            f"{_TOOL} does not run on phone {bench.phone.serial} ({answer.said}): build it for "
            f"{bench.phone.property('ro.product.cpu.abi') or 'its processor'}"
        )
    return said

"""What LiteRT's ``benchmark_model`` is told, and what it prints.

Flags and output as in ``tflite/tools/benchmark`` of LiteRT and TensorFlow.
"""

import re
from dataclasses import dataclass

from export.probe.figures import WARM_UPS

_COUNTED = re.compile(r"count=(\d+)\b(.*)")
_MEDIAN = re.compile(r"\bmedian=([\d.e+]+)")
_ALL_SAME = re.compile(r"\bcurr=([\d.e+]+) ?\(all same\)")
_ONE = re.compile(r"\bcurr=([\d.e+]+)")
_TIMINGS = re.compile(r"Init: ([\d.e+]+), First inference: ([\d.e+]+)")
_PEAK = re.compile(r"Overall peak memory footprint \(MB\) via periodic monitoring: ([\d.e+]+)")


@dataclass(frozen=True)
class Printed:
    """What one run of the tool said; milliseconds and bytes, None where it did not say.

    Attributes:
        runs: Timed calls.
        p50_ms: Their median; only builds of 2023 and later print it.
        load_ms: Until the model was ready, in a new process.
        first_ms: Of the very first call.
        peak_bytes: Only where the run was asked for it.
    """

    runs: int
    p50_ms: float | None
    load_ms: float | None
    first_ms: float | None
    peak_bytes: int | None


def golden_flags(graph: str, shape: tuple[int, ...], given: str, result: str) -> list[str]:
    """Flags of one call with an input from a file, whose output goes into a file."""
    return [
        *_flags(graph, threads=1),
        # The tool asks for a name and only warns where the model has another.
        "--input_layer=input",
        f"--input_layer_shape={','.join(map(str, shape))}",
        f"--input_layer_value_files=input:{given}",
        f"--output_filepath={result}",
        *_counts(warm_ups=0, runs=1, seconds=0),
    ]


def timing_flags(graph: str, *, threads: int, runs: int, seconds: float = 0) -> list[str]:
    """Flags of a timed run of at least so many calls and seconds."""
    return [*_flags(graph, threads), *_counts(WARM_UPS, runs, seconds)]


def memory_flags(graph: str, *, threads: int) -> list[str]:
    """Flags of a run that watches its memory, which may cost it time: its times do not count."""
    return [
        *_flags(graph, threads),
        *_counts(warm_ups=1, runs=WARM_UPS, seconds=0),
        "--report_peak_memory_footprint=true",
        "--memory_footprint_check_interval_ms=1",
    ]


def read_output(text: str) -> Printed | None:
    """What the tool printed; None where it made no timed run."""
    counted = _COUNTED.findall(text)
    timings = _TIMINGS.search(text)
    if not counted or timings is None:
        return None
    # Warm-ups come first and the timed runs last.
    runs, rest = int(counted[-1][0]), counted[-1][1]
    median = _MEDIAN.search(rest) or _ALL_SAME.search(rest)
    if median is None and runs == 1:
        median = _ONE.search(rest)
    peak = _PEAK.search(text)
    return Printed(
        runs=runs,
        p50_ms=_milliseconds(median[1]) if median else None,
        load_ms=_milliseconds(timings[1]),
        first_ms=_milliseconds(timings[2]),
        peak_bytes=round(float(peak[1]) * 2**20) if peak else None,
    )


def _flags(graph: str, threads: int) -> list[str]:
    return [f"--graph={graph}", f"--num_threads={threads}", "--use_xnnpack=true"]


def _counts(warm_ups: int, runs: int, seconds: float) -> list[str]:
    return [
        f"--warmup_runs={warm_ups}",
        "--warmup_min_secs=0",
        f"--num_runs={runs}",
        f"--min_secs={seconds:g}",
        "--max_secs=600",
    ]


def _milliseconds(microseconds: str) -> float:
    return round(float(microseconds) / 1e3, 4)

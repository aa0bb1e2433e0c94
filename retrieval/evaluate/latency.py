"""Milliseconds of an encoder for one photo and for one sentence."""

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.encode.protocol import Encoder, Pixels

RUNS = 50
WARM_UP = 5


@dataclass(frozen=True, slots=True)
class Timing:
    """Wall-clock milliseconds of one call with batch 1, over repeated calls."""

    median_ms: float
    p90_ms: float
    runs: int


@dataclass(frozen=True, slots=True)
class Latency:
    """How long an encoder takes, and where that was measured."""

    photo: Timing
    """From pixels of the model's size to an embedding; decoding is not included."""
    sentence: Timing
    """From a sentence to an embedding, tokenizing included."""
    threads: int
    machine: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible, with the batch size said."""
        return {**asdict(self), "batch": 1}


def measure_latency(
    encoder: Encoder,
    pixels: Pixels,
    sentences: Sequence[str],
    *,
    threads: int = 1,
    runs: int = RUNS,
) -> Latency:
    """Time single photos and single sentences, in turns over the given ones.

    Args:
        encoder: Opened with ``threads`` threads (``open_encoder(source, threads=1)``); what
            it was opened with cannot be seen from here.
        pixels: Ready pixels of one photo or more, uint8 ``(photos, 3, size, size)``.
        sentences: One or more.
        threads: What to note in the result.
        runs: Calls that are timed for each tower, after a warm-up that is not.
    """
    return Latency(
        photo=_timing(lambda run: encoder.encode_pixels(pixels[[run % len(pixels)]]), runs),
        sentence=_timing(
            lambda run: encoder.encode_sentences([sentences[run % len(sentences)]]), runs
        ),
        threads=threads,
        machine=machine_name(),
    )


def machine_name() -> str:
    """Processor, number of processors and system, as a benchmark has to name them."""
    processor = platform.processor() or platform.machine()
    # Linux says only the architecture through `platform`.
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    return f"{processor}, {os.cpu_count()} processors, {platform.system()}"


def _timing(call: Callable[[int], object], runs: int) -> Timing:
    for run in range(WARM_UP):
        call(run)
    seconds = np.empty(runs)
    for run in range(runs):
        start = time.perf_counter()
        call(run)
        seconds[run] = time.perf_counter() - start
    median, p90 = np.percentile(seconds * 1000, [50, 90])
    return Timing(median_ms=float(median), p90_ms=float(p90), runs=runs)
